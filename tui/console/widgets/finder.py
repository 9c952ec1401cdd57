"""One line to search in: what is typed counts at once."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from tui.console.keys import FINDER_KEYS
from tui.console.widgets.entry import TextInput


class Finder(TextInput):
    """Words to look for; out of view as long as nobody asks for it."""

    BINDINGS: ClassVar[list[BindingType]] = [*FINDER_KEYS]

    class Left(Message):
        """Somebody is done typing."""

    class Moved(Message):
        """Somebody moves in what was found, without leaving the line."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self, hint: str) -> None:
        super().__init__(placeholder=hint, compact=True, select_on_focus=False)
        self.display = False

    def open(self) -> None:
        """Let somebody type."""
        self.display = True
        # At once: what is typed next is meant for this line, not for the keys of another widget.
        self.screen.set_focus(self)

    def close(self) -> None:
        """Look for nothing any more."""
        self.value = ""
        self.display = False

    def action_leave(self) -> None:
        """Keep what was typed."""
        self.post_message(self.Left())

    def action_clear(self) -> None:
        """Forget what was typed."""
        self.close()
        self.post_message(self.Left())

    def action_step(self, step: int) -> None:
        """Move in what was found."""
        self.post_message(self.Moved(step))
