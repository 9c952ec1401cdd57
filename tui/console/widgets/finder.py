"""One line to search in: what is typed counts at once."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget

from tui.console.keys import FINDER_KEYS
from tui.console.widgets.entry import TextInput


class Finder(TextInput):
    """Words to look for; out of view as long as nobody asks for it."""

    BINDINGS: ClassVar[list[BindingType]] = [*FINDER_KEYS]

    class Moved(Message):
        """Somebody moves in what was found, without leaving the line."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, hint: str) -> None:
        super().__init__(placeholder=hint, compact=True, select_on_focus=False)
        self.display = False
        self._back_to: Widget | None = None

    def open(self, back_to: Widget) -> None:
        """Let somebody type, who goes back to a widget then."""
        self._back_to = back_to
        self.display = True
        # At once: what is typed next is meant for this line, not for the keys of another widget.
        self.screen.set_focus(self)

    def close(self) -> None:
        """Look for nothing any more."""
        self.value = ""
        self.display = False

    def action_leave(self) -> None:
        """Keep what was typed."""
        self._go_back()

    def action_clear(self) -> None:
        """Forget what was typed."""
        self.close()
        self._go_back()

    def _go_back(self) -> None:
        if not self.value:
            self.close()
        self.screen.set_focus(self._back_to)

    def action_step(self, step: int) -> None:
        """Move in what was found."""
        self.post_message(self.Moved(step))
