"""The record inspector: both readings of a plugin's record, its faults and its bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.clock import rfc3339
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.browser import RecordBrowser
from tui.console.format import field_lines, value_text
from tui.console.keys import RECORD_KEYS
from tui.console.screens.browsing import BrowsingScreen
from tui.console.screens.parts import Part
from tui.console.widgets.hexdump import HexView
from tui.console.wording import explain, utc_text

_NAME_WIDTH = 12
_SHOWN_FIELDS = 500
NOT_KEPT = "bytes no longer kept"


def reading_content(record: Record) -> Content:
    """What a tolerant reader and a real agent make of a record."""
    sections = _fault_sections if record.kind == "plugin_fault" else _record_sections
    lines: list[Content] = []
    for title, body in sections(record):
        lines += [Content.styled(title, "bold underline"), *body, Content("")]
    return Content("\n").join(lines)


Section = tuple[str, list[Content]]


def _record_sections(record: Record) -> Iterator[Section]:
    stamp = value_text(record.get("timestamp"))
    yield (
        "Read tolerantly",
        [
            _line("data_type", value_text(record.get("data_type"))),
            _line("timestamp", stamp, utc_text(record.get("timestamp"))),
            *_field_lines(record.get("fields")),
        ],
    )
    yield "Read by a real agent", [Content(value_text(record.get("agent_reading") or "the same"))]
    yield "Faults", list(_faults(record))
    yield "Came", _came(record)


def _fault_sections(record: Record) -> Iterator[Section]:
    reason = str(record.get("reason") or "")
    yield (
        "No record",
        [
            _line("reason", clean(reason), explain(reason)),
            _line("length", field_lines(record.get("length"), "B")[0], "announced"),
        ],
    )
    yield "Read by a real agent", [Content(value_text(record.get("agent_reading")))]
    yield "Came", _came(record)


def _faults(record: Record) -> Iterator[Content]:
    faults = record.get("faults")
    if not isinstance(faults, (list, tuple)) or not faults:
        yield Content("none")
        return
    for fault in faults:
        text = str(fault)
        yield Content.styled(f"✗ {clean(text)}", "$text-warning")
        if explain(text):
            yield Content.styled(f"  {explain(text)}", "dim italic")


def _came(record: Record) -> list[Content]:
    pid = "" if record.pid is None else f"{clean(record.comm or '')}/{record.pid}"
    lines = [_line("number", str(record.seq)), _line("at", rfc3339(record.ts_ns))]
    lines.append(_line("from", clean(str(record.get("plugin"))), pid))
    if record.kind == "plugin_record":
        lines.append(_line("size", field_lines(record.get("size"), "B")[0]))
    return lines


def _field_lines(fields: object) -> Iterator[Content]:
    if not isinstance(fields, Mapping) or not fields:
        yield _line("fields", "none")
        return
    yield _line("fields", str(len(fields)))
    width = min(24, max(len(clean(str(name))) for name in islice(fields, _SHOWN_FIELDS)))
    for name, value in islice(fields.items(), _SHOWN_FIELDS):
        shown = Content.styled(f"  {clean(str(name)).ljust(width)}", "bold")
        yield Content.assemble(shown, f"  {value_text(value)}")
    if len(fields) > _SHOWN_FIELDS:
        yield Content(f"  … {len(fields) - _SHOWN_FIELDS} more, see the bytes")


def _line(name: str, value: str, remark: str = "") -> Content:
    return Content.assemble(
        (name.ljust(_NAME_WIDTH), "bold"), value, (f"   {remark}" if remark else "", "dim")
    )


class RecordScreen(BrowsingScreen):
    """One record of a plugin; stays on it while others arrive."""

    all_width = 130
    BINDINGS: ClassVar[list[BindingType]] = [*RECORD_KEYS]

    def __init__(self, browser: RecordBrowser) -> None:
        self._reading = Static()
        self._frame = VerticalScroll(self._reading)
        self._bytes = HexView(empty=NOT_KEPT)
        super().__init__(
            browser,
            (
                Part("Reading", self._frame, part_id="reading"),
                Part("Bytes", self._bytes, part_id="bytes"),
            ),
        )

    def draw(self) -> None:
        """Show another record."""
        record, body = self._browser.record, self._browser.body()
        self._reading.update(reading_content(record))
        self._frame.scroll_home(animate=False)
        self._bytes.show(body, prefix=record.kind == "plugin_record")
        self.head()

    def head(self, remark: str = "") -> None:
        """Write which record it is, of which plugin."""
        record = self._browser.record
        noun = "fault" if record.kind == "plugin_fault" else "record"
        name = clean(str(record.get("plugin")))
        self.say(
            Content.assemble(
                f" {noun} {record.seq:,} of ",
                (name, "bold"),
                (f"   {remark}" if remark else "", "$text-warning"),
            )
        )
