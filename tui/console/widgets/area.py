"""Text of several lines to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from textual.widgets import TextArea

from engine.core.sanitise import clean
from tui.console.widgets.entry import LONGEST

if TYPE_CHECKING:
    from textual.document._document import EditResult
    from textual.document._edit import Edit


class CleanArea(TextArea):
    """An area that shows, and holds, nothing a terminal would obey, whatever is pasted."""

    def edit(self, edit: Edit) -> EditResult:
        """Make control and invisible characters visible."""
        lines = re.split(r"\r\n|\r|\n", edit.text)
        edit.text = "\n".join(clean(line.replace("\t", " "), LONGEST) for line in lines)
        return super().edit(edit)
