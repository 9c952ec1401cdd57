"""Going from one record to the next of its kind, over those on the screen and those kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine.core.kinds import KINDS
from engine.core.records import Record
from tui.console.reader import RecordReader

_WINDOW = 1_000


class RecordBrowser:
    """Records, one of which is looked at; that one never changes by itself.

    Of a kind that belongs to plugins, those of one plugin.

    Args:
        reader: Where records come from.
        record: The one to begin with.
        known: Records of the same kind that are on the screen, oldest first.
        frames: Bytes that are kept elsewhere than in the engine, by record number.
    """

    def __init__(
        self,
        reader: RecordReader,
        record: Record,
        known: Sequence[Record] = (),
        frames: Mapping[int, bytes | None] | None = None,
    ) -> None:
        self._reader = reader
        self._frames = frames or {}
        self._plugin = _plugin_of(record)
        self._records = [one for one in known if self._belongs(one)]
        if record not in self._records:
            self._records = [record]
        self._position = self._records.index(record)

    @property
    def record(self) -> Record:
        """The record that is looked at."""
        return self._records[self._position]

    def body(self) -> bytes | None:
        """The bytes of the record as they came, without prefix; None if they are not kept."""
        record = self.record
        if record.kind == "plugin_fault":
            return _from_hex(record.get("bytes"))
        kept = self._frames.get(record.seq)
        return self._reader.raw(record.kind, record.seq) if kept is None else kept

    def step(self, direction: int) -> bool:
        """Go to the next record (1) or the previous one (-1); False if there is none.

        May look through everything the engine keeps, so not for the UI's thread.
        """
        beyond = self._position + direction
        if beyond < 0:
            found = self._look_back()
            self._records[:0] = found
            beyond += len(found)
        elif beyond == len(self._records):
            self._records += self._look_ahead()
        if not 0 <= beyond < len(self._records):
            return False
        self._position = beyond
        return True

    def _belongs(self, record: Record) -> bool:
        return _plugin_of(record) == self._plugin

    def _look_ahead(self) -> list[Record]:
        kind, seq = self.record.kind, self._records[-1].seq
        newest = self._reader.last_seq(kind)
        while seq < newest:
            batch = self._reader.since(kind, seq, _WINDOW)
            if found := [record for record in batch.records if self._belongs(record)]:
                return found
            seq = batch.last_seq
        return []

    def _look_back(self) -> list[Record]:
        kind, first = self.record.kind, self._records[0].seq
        while first > 1:
            begin = max(0, first - 1 - _WINDOW)
            batch = self._reader.since(kind, begin, first - 1 - begin)
            earlier = [record for record in batch.records if record.seq < first]
            if found := [record for record in earlier if self._belongs(record)]:
                return found
            if not earlier:
                break
            first = begin + 1
        return []


def _plugin_of(record: Record) -> object:
    return record.get("plugin") if "plugin" in KINDS[record.kind].index else None


def _from_hex(text: object) -> bytes | None:
    try:
        return bytes.fromhex(str(text)) if text else None
    except ValueError:
        return None
