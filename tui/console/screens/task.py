"""The dialog that sends a plugin a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.core.sanitise import clean
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry

_INT32 = range(-(2**31), 2**31)

Send = Callable[[int, str], str]
"""Queues a task of a type with its data; returns the token."""


class Task(NamedTuple):
    """What is sent."""

    data_type: int
    data: str


class SentTask(NamedTuple):
    """A task and the token its reply will carry."""

    task: Task
    token: str


def type_of(text: str) -> int | None:
    """The task type somebody typed; None if it is none."""
    try:
        number = int(text.strip(), 10)
    except ValueError:
        return None
    return number if number in _INT32 else None


class TaskDialog(Dialog[SentTask]):
    """Asks for a type and data; gives what was queued.

    Args:
        plugin: Its name.
        last: What was sent to it before, to begin with.
        send: Queues the task.
    """

    hint = "tab next · {dialog.accept} sends · {dialog.cancel} cancels"

    def __init__(self, plugin: str, last: Task | None, send: Send) -> None:
        super().__init__(
            f"Send {clean(plugin)} a task",
            "It is written to the plugin's task pipe; a reply carries its token.",
            (
                Entry(
                    "type",
                    "Type",
                    value="" if last is None else str(last.data_type),
                    hint="a number, such as 7011",
                    about="the data_type the plugin distinguishes its tasks by",
                ),
                Entry(
                    "data",
                    "Data",
                    value="" if last is None else last.data,
                    hint="none",
                    about="text, most often JSON",
                ),
            ),
            accept="Send",
        )
        self._send = send

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """The type has to be a number of 32 bits."""
        text = values["type"].strip()
        if type_of(text) is not None:
            return {}
        needed = f"a whole number from {_INT32.start} to {_INT32.stop - 1}"
        return {"type": f"{clean(text, 40)!r} is not {needed}" if text else f"{needed} is needed"}

    def act(self, values: Mapping[str, str]) -> SentTask:
        """Queue it."""
        task = Task(type_of(values["type"]) or 0, values["data"])
        return SentTask(task, self._send(*task))
