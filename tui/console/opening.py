"""What is typed while something is on its way that it is meant for waits for that.

Between the key that asks for a dialog and the moment in which that can take keys lie messages,
work in threads, and the making of its widgets. A key that is typed in between would act on what is
below: a name meant for a field would turn switches. So from the first on keys are held, and acted
on when it is there, or when it is known not to come. The same goes for a filter that is being put
in force, or a step to another record, which change what a key would act on.
"""

from __future__ import annotations

from collections.abc import Awaitable
from contextvars import ContextVar
from typing import Any

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from tui.console.widgets.typed import Typed

LONGEST_S = 5.0
"""How long keys are held at most: who asks for what takes longer may go on meanwhile."""


class Expected:
    """Something that may open."""


class Dealt(Message):
    """What the same widget has posted before has been dealt with."""

    def __init__(self, expected: Expected) -> None:
        super().__init__()
        self.expected = expected


_begun_for: ContextVar[Expected | None] = ContextVar("begun_for", default=None)
"""What the present worker may open."""


def ask(widget: Widget, message: Message) -> None:
    """Post a message; what is typed next is meant for what comes of it, such as a dialog."""
    app = widget.app
    expected = app.expect() if isinstance(app, Openings) else None
    widget.post_message(message)
    if expected is not None:
        widget.post_message(Dealt(expected))


def run_opening(
    node: DOMNode, work: Awaitable[None], *, group: str, name: str, exclusive: bool = False
) -> None:
    """Run a worker that opens something, or leads to what keys are meant for then.

    Keys are held until it has, or is done.
    """
    app = node.app
    expected = app.expect() if isinstance(app, Openings) else None

    async def run() -> None:
        _begun_for.set(expected)
        try:
            await work
        finally:
            if isinstance(app, Openings) and expected is not None:
                app.settle(expected)

    node.run_worker(run(), group=group, name=name, exclusive=exclusive)


class Openings(App[None]):
    """The part of the application that every key comes through."""

    _expected: frozenset[Expected] = frozenset()
    _held: tuple[events.Key, ...] = ()

    def watch_screens(self) -> None:
        """Hold keys whenever a screen opens; once the application runs."""
        self.screen_change_signal.subscribe(self, self._screen_changed, immediate=True)

    def expect(self) -> Expected:
        """Hold keys until this is settled."""
        expected = Expected()
        self._expected |= {expected}
        self.set_timer(LONGEST_S, lambda: self.settle(expected))
        return expected

    def settle(self, expected: Expected) -> None:
        """It can take keys, or will not come; may be called twice."""
        self._expected -= {expected}
        if self._held and not self._expected:
            self.call_later(self._act_on_held)

    def on_dealt(self, message: Dealt) -> None:
        """Whoever was to open something has begun with it, or did not want to."""
        self.settle(message.expected)

    def _screen_changed(self, screen: Screen[Any]) -> None:
        if not screen.is_mounted:
            expected = self.expect()
            # It chooses who has the focus when it is mounted, which is told to the application.
            screen.call_after_refresh(self.call_later, self.settle, expected)
        if begun_for := _begun_for.get():
            self.settle(begun_for)

    # Keys.

    async def on_key(self, event: events.Key) -> None:
        """Hold it, or give a character to who types now; anything else goes its way."""
        if self._expected or self._held:
            event.prevent_default()
            self._held += (event,)
        elif isinstance(self.focused, Typed) and await self.focused.take_up(event):
            # Be it from while that line was being opened.
            event.prevent_default()

    async def _act_on_held(self) -> None:
        """Act on keys in the order in which they were typed, as far as none opens something."""
        while self._held and not self._expected and self.screen_stack:
            await self._act_on(self._held[0])
            self._held = self._held[1:]

    async def _act_on(self, event: events.Key) -> None:
        typed = self.focused
        if await self._check_bindings(event.key, priority=True):
            return
        if isinstance(typed, Typed) and await typed.take_up(event):
            return
        if isinstance(typed, Input) and not isinstance(typed, Typed) and event.is_printable:
            typed.insert_text_at_cursor(event.character or "")
        else:
            await self._check_bindings(event.key)
