"""Everything known about one record, field by field, with what each field means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import field_lines, value_text
from tui.console.keymap import with_keys
from tui.console.keys import DETAIL_KEYS

_NAME_WIDTH = 16


def record_content(record: Record) -> Content:
    """All fields of a record; long values take as many lines as they need."""
    lines: list[Content] = []
    for field in KINDS[record.kind].all_fields():
        first, *more = field_lines(record.get(field.name), field.unit)
        name = Content.styled(field.name.ljust(_NAME_WIDTH), "bold")
        lines.append(Content.assemble(name, first, (f"   {field.help}", "dim italic")))
        lines += [Content(" " * _NAME_WIDTH + line) for line in more]
    return Content("\n").join(lines)


def related_content(title: str, records: Sequence[Record]) -> Content:
    """Records that belong to the one shown, a line each."""
    lines = [Content(""), Content.styled(title, "bold underline")]
    for record in records:
        fields = [
            f"{field.name}={value_text(record.get(field.name), field.unit)}"
            for field in KINDS[record.kind].fields
            if not field.hidden and record.get(field.name) not in (None, "", [], {}, ())
        ]
        lines.append(Content("  ".join(fields)))
    return Content("\n").join(lines)


class DetailScreen(ModalScreen[None]):
    """The detail of one record over the panes."""

    CSS_PATH = "detail.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*DETAIL_KEYS]

    def __init__(self, record: Record, title: str = "", related: Sequence[Record] = ()) -> None:
        super().__init__()
        self._record = record
        self._title = title
        self._related = related

    def compose(self) -> ComposeResult:
        """A frame that scrolls."""
        record = self._record
        with VerticalScroll(id="detail") as frame:
            number = f" {record.seq}" if record.seq else ""
            frame.border_title = f"{record.kind}{number}"
            frame.border_subtitle = with_keys(self.app, "{detail.close} closes")
            yield Static(Content.styled(clean(KINDS[record.kind].help), "dim"))
            yield Static(record_content(record))
            if self._related:
                yield Static(related_content(self._title, self._related))
