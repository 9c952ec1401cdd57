"""A stream of plugin records that keeps the bytes of those in view.

A plugin at full speed overwrites the engine's own store within a blink; what somebody looks
at must still be there when it is opened.
"""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.kinds import PLUGIN_RECORD
from engine.core.records import Record
from tui.console.reader import RecordReader
from tui.console.widgets.columns import Column, record_columns
from tui.console.widgets.stream import StreamView

LARGEST = 64 * 1024
"""Longest frame that is kept here, in bytes."""


class FrameStream(StreamView):
    """Records, with the frames of the last page of them."""

    _frames: Mapping[int, bytes | None] = {}

    @property
    def frames(self) -> Mapping[int, bytes | None]:
        """The frames kept, by the number of their record."""
        return self._frames

    def taken(self, reader: RecordReader) -> None:
        """Keep the frames of what is going to be in view."""
        first = max(0, self.row_count - self.page_rows)
        rows = [self.row_at(index) for index in range(first, self.row_count)]
        self._frames = {
            row.seq: self._frames[row.seq]
            if row.seq in self._frames
            else reader.raw(self.kind, row.seq)
            for row in rows
            if isinstance(row, Record) and _is_small(row)
        }


def _is_small(record: Record) -> bool:
    size = record.get("size")
    return not isinstance(size, int) or size <= LARGEST


def record_stream(widget_id: str, *, with_plugin: bool) -> FrameStream:
    """The records of plugins, those with faults marked."""
    declared = {
        column.name: column
        for column in record_columns(
            PLUGIN_RECORD,
            ["ts", "plugin", "data_type", "fields", "faults"],
            titles={"ts": "time", "data_type": "type"},
            widths={"plugin": 12, "fields": 16},
            priorities={"plugin": 2, "fields": 1, "faults": 6},
            tones={"ts": lambda record: "dim", "faults": lambda record: "warn"},
            flex="fields",
            ample=40,
        )
    }
    columns = [
        declared["ts"],
        *([declared["plugin"]] if with_plugin else []),
        Column("fault", "", 1, _fault_mark, priority=1, tone=lambda record: "warn"),
        declared["data_type"],
        declared["fields"],
        declared["faults"],
    ]
    return FrameStream(PLUGIN_RECORD.name, columns, empty="no records yet", widget_id=widget_id)


def _fault_mark(record: Record) -> str:
    return "✗" if record.get("faults") else ""
