"""The dialog that asks for a time to go to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tui.console.moments import EXAMPLES, read_moment
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry


class GoToDialog(Dialog[int]):
    """Asks for a time; gives it in wall nanoseconds.

    Args:
        now_ns: What is now, in wall nanoseconds; asked again for every answer.
    """

    hint = "{dialog.accept} goes there · {dialog.cancel} cancels"

    def __init__(self, now_ns: Callable[[], int]) -> None:
        super().__init__(
            "Go to which time?",
            "The stream stands still on the first record from then on; f follows again.",
            (Entry("time", "Time", hint="-30s", about=f"such as {EXAMPLES}"),),
            accept="Go",
        )
        self._now_ns = now_ns

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """It has to be a time."""
        if read_moment(values["time"], self._now_ns()) is not None:
            return {}
        return {"time": f"this is no time; write one such as {EXAMPLES}"}

    def act(self, values: Mapping[str, str]) -> int:
        """The time."""
        now_ns = self._now_ns()
        moment = read_moment(values["time"], now_ns)
        return now_ns if moment is None else moment
