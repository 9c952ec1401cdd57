"""Text of several lines to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textual import events
from textual.widgets import TextArea

from engine.core.sanitise import clean
from tui.console.widgets.entry import LONGEST
from tui.console.widgets.typed import Typed

if TYPE_CHECKING:
    from textual.document._document import EditResult
    from textual.document._edit import Edit


class CleanArea(TextArea, Typed):
    """An area that shows, and holds, nothing a terminal would obey, whatever is pasted."""

    async def _on_key(self, event: events.Key) -> None:
        """Let characters come to their turn, as those of one line do (`TextInput`)."""
        if self._types(event):
            event.prevent_default()

    async def take_up(self, event: events.Key) -> bool:
        """Add a character, or begin another line, and tell whether it was that."""
        if typed := self._types(event):
            await super()._on_key(event)
        return typed

    def _types(self, event: events.Key) -> bool:
        return not self.read_only and (event.is_printable or event.key == "enter")

    def edit(self, edit: Edit) -> EditResult:
        """Make control and invisible characters visible."""
        lines = re.split(r"\r\n|\r|\n", edit.text)
        edit.text = "\n".join(clean(line.replace("\t", " "), LONGEST) for line in lines)
        return super().edit(edit)
