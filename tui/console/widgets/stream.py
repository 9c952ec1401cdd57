"""A stream of records: the newest at the bottom, pulled on a timer.

While it follows, every pull goes to the end. Moving up, pausing or opening a record stops
that: what is in view stays, the badge counts what came since, and following again takes
that in. Records that arrived faster than a pull takes them leave a line saying how many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from engine.core.records import Batch, Record
from tui.console.format import count
from tui.console.keymap import with_keys
from tui.console.moments import RecordsByNumber, first_since
from tui.console.scope import Scope
from tui.console.widgets.choice import Choice
from tui.console.widgets.columns import Column, lift
from tui.console.widgets.lines import LineView
from tui.console.widgets.row_strips import GUTTER

KEPT = 5_000
"""Rows a stream keeps to scroll back to."""
PULLED = 2_000
"""Records taken in one pull at most; 10,000 a second at five pulls a second. From twice as many
new ones on nobody reads each of them."""
SAMPLED = 200
"""Records taken then, the newest: some pages, which cost a tenth of a full pull."""
SOUGHT = 5_000
"""Records looked at in one pull at most while only some are shown."""
BACKLOG = 100_000
"""Records looked at, pull by pull, when others are to be shown than before."""


class RecordReader(RecordsByNumber, Protocol):
    """What a stream pulls from; the engine is one."""

    @property
    def epoch(self) -> int:
        """Another number once the numbers of all records have begun anew."""

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes a record was made of; None where they are not kept."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Records that are not in the stream because they came too fast or nobody looked."""

    seq: int
    """Number of the last of them."""
    number: int
    missed: int = 0
    """Of these, the engine had lost before they were pulled."""


StreamRow: TypeAlias = Record | Skipped


@dataclass(frozen=True, slots=True)
class _Place:
    """Where somebody stood before a scope was entered."""

    rows: tuple[StreamRow, ...]
    taken_seq: int
    counts: tuple[int, int]
    """Shown, looked at."""
    cursor_key: Hashable
    top_row: int
    choice: Choice


def _record_of(row: StreamRow) -> Record | None:
    return row if isinstance(row, Record) else None


class StreamView(LineView[StreamRow]):
    """The records of one kind as they come."""

    pulled: ClassVar[int] = PULLED
    """As PULLED; less for records that are dear to have made."""

    class CameIntoView(Message):
        """A stream can be seen that could not, and is to be pulled at once."""

    class TimeAsked(Message):
        """Somebody wants to see what there was at a time."""

        def __init__(self, view: StreamView) -> None:
            super().__init__()
            self.view = view

    def __init__(
        self,
        kind: str,
        columns: Sequence[Column[Record]],
        *,
        empty: str = "",
        widget_id: str | None = None,
    ) -> None:
        super().__init__(
            [lift(column, _record_of) for column in columns], empty=empty, widget_id=widget_id
        )
        self.kind = kind
        self.following = True
        self.paused = False
        self.pending = 0
        """Records that came since the view stands still."""
        self._only: Callable[[Record], bool] | None = None
        self._choice = Choice()
        self._places: list[_Place | None] = []
        """One for each scope entered; None where the stream was followed."""
        self._held_seq = 0
        """Up to here records are taken while the view stands still."""
        self._sought_to = 0
        """Up to here the backlog is looked at."""
        self._looked_at = 0
        self._shown = 0
        self._rows: deque[StreamRow] = deque(maxlen=KEPT)
        self._taken_seq = 0
        self._counted_seq = 0
        self._epoch: int | None = None

    # Rows, known by their sequence number.

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def row_at(self, index: int) -> StreamRow:
        """The row at a position."""
        return self._rows[index]

    def row_key(self, row: StreamRow) -> Hashable:
        """The sequence number."""
        return row.seq

    def index_of(self, key: Hashable) -> int | None:
        """Where the record of that number is now."""
        if not isinstance(key, int):
            return None
        index = bisect_left(self._rows, key, key=lambda row: row.seq)
        return index if index < len(self._rows) and self._rows[index].seq == key else None

    @property
    def moving(self) -> bool:
        """Whether new records are taken in."""
        return self.following and not self.paused

    @property
    def records(self) -> tuple[Record, ...]:
        """The records that can be scrolled back to, oldest first."""
        return tuple(row for row in self._rows if isinstance(row, Record))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of the records."""
        return (self.kind,)

    @property
    def filter_counts(self) -> tuple[int, int]:
        """Records chosen and records looked at since the filter is in force."""
        return (self._shown, self._looked_at)

    @property
    def looking_back(self) -> bool:
        """Whether what came before is still being looked through, so that the newest is to come."""
        return bool(self._choice) and self.moving and self._taken_seq < self._sought_to

    def show_only(self, predicate: Callable[[Record], bool] | None) -> None:
        """Begin anew with the records the predicate lets through."""
        self._only = predicate
        self.refilter()

    def enter_scope(self, scope: Scope) -> None:
        """Begin anew with the records of a process; who stood somewhere is brought back there."""
        self._places.append(None if self.following else self._place())
        super().enter_scope(scope)

    def leave_scope(self, outer: Scope | None) -> None:
        """Show what was shown before, at the same place."""
        place = self._places.pop() if self._places else None
        super().leave_scope(outer)
        if place is not None and place.choice == self._choice:
            self._go_back_to(place)

    def _place(self) -> _Place:
        return _Place(
            tuple(self._rows),
            self._taken_seq,
            (self._shown, self._looked_at),
            self.cursor_key,
            self.top_row,
            self._choice,
        )

    def _go_back_to(self, place: _Place) -> None:
        self._rows.extend(place.rows)
        self._taken_seq = self._held_seq = self._sought_to = place.taken_seq
        self._shown, self._looked_at = place.counts
        self.cursor_key = place.cursor_key
        self.following = False
        self._stood_still()
        self.rows_changed()
        self.scroll_to(y=place.top_row, animate=False, force=True, immediate=True)

    def refilter(self) -> None:
        """Begin anew with the records that are wanted; paused, with those from before."""
        self._choice = Choice(self._only, self.scope, self.filter)
        self._rows.clear()
        self._taken_seq = self._shown = self._looked_at = 0
        self._sought_to = -1
        self.cursor_key = None
        self.following = True
        self._stood_still()
        self.rows_changed()

    # Pulling.

    def on_show(self) -> None:
        """Ask to be pulled."""
        self.post_message(self.CameIntoView())

    def pull(self, reader: RecordReader) -> None:
        """Take in what is new, or count it while the view stands still."""
        last = reader.last_seq(self.kind)
        if last < self._taken_seq or self._epoch not in (None, reader.epoch):
            self._begin_anew(last)
        self._epoch = reader.epoch
        if self.moving:
            self._held_seq = last
        if self._held_seq > self._taken_seq:
            self._take(reader, self._held_seq)
        if self.moving:
            # A layout that comes while rows do may change the height without a Resize.
            if self.scroll_y != self.max_scroll_y:
                self._to_end()
            return
        before = self.pending
        if last > self._counted_seq:
            self._count(reader, last)
        if self.pending != before:
            self.refresh_lines(self.top_row)

    def _begin_anew(self, last: int) -> None:
        """A replay has gone back, or it is another engine: what was shown is not what there is."""
        self._held_seq = last
        self._places = [None] * len(self._places)
        self.refilter()

    def _take(self, reader: RecordReader, last: int) -> None:
        begin = self._begin(last)
        batch = reader.since(self.kind, begin, min(self._lot, last - begin))
        skipped = begin - self._taken_seq + batch.missed
        if skipped and self._taken_seq:
            self._rows.append(Skipped(begin + batch.missed, skipped, batch.missed))
        self._take_over(batch)
        self._stood_still()
        self.taken(reader)
        self.fit_virtual_size()
        self._to_end()
        self.refresh()

    def _take_over(self, batch: Batch) -> None:
        chosen = self._choice.of(batch.records)
        self._rows.extend(chosen.records)
        self._shown += len(chosen.records)
        self._looked_at += chosen.asked
        self._taken_seq = batch.last_seq

    @property
    def _lot(self) -> int:
        """Records looked at in one pull at most."""
        return SOUGHT * self.pulled // PULLED if self._choice else self.pulled

    @property
    def _backlog(self) -> int:
        """How far back it is looked for records that are to be shown."""
        return BACKLOG * self.pulled // PULLED

    def _begin(self, last: int) -> int:
        """After which record to go on; what came too fast to be read or looked at is left out."""
        new, lot = last - self._taken_seq, self._lot
        if not self._choice:
            flood = new > 2 * lot and self._taken_seq > 0
            return last - (min(SAMPLED, lot) if flood else min(new, lot))
        if self._sought_to < 0:
            self._sought_to = last
            return max(0, last - self._backlog)
        behind = new > lot and self._taken_seq >= self._sought_to
        return last - lot if behind else self._taken_seq

    def taken(self, reader: RecordReader) -> None:
        """New records are in; for a stream that keeps more than these."""

    def _count(self, reader: RecordReader, last: int) -> None:
        if not self._choice:
            self.pending = last - self._taken_seq
            self._counted_seq = last
            return
        begin = max(self._counted_seq, last - self._backlog)
        batch = reader.since(self.kind, begin, min(self._lot, last - begin))
        self.pending += len(self._choice.of(batch.records).records)
        self._counted_seq = batch.last_seq

    def _stood_still(self) -> None:
        self.pending = 0
        self._counted_seq = self._taken_seq

    # Going to a time.

    def go_to_time(self, reader: RecordReader, ts_ns: int) -> str:
        """Stand still on the first record from a time on, with those around it.

        Returns:
            What to tell; nothing where it is what was asked for.
        """
        if not (last := reader.last_seq(self.kind)):
            return "there is nothing yet"
        seq, exact = first_since(reader, self.kind, ts_ns)
        if seq > last:
            self.follow()
            return "that is still to come"
        index = bisect_left(self._rows, seq, key=lambda row: row.seq)
        if not self._covers(seq, index):
            index = self._load_around(reader, seq)
        if not self._rows:
            return "nothing is shown from that time"
        self.move_to(index)
        above = max(0, index - self.page_rows // 2)
        self.scroll_to(y=above, animate=False, force=True, immediate=True)
        return "" if exact else "this is the oldest that is kept"

    def _covers(self, seq: int, index: int) -> bool:
        """Whether the row at an index is where the record of a number is, or would be."""
        if index >= len(self._rows) or self._rows[0].seq > seq:
            return False
        return isinstance(self._rows[index], Record)

    def _load_around(self, reader: RecordReader, seq: int) -> int:
        """Take the records around one instead of those there are; tells where it is."""
        self._rows.clear()
        self._shown = self._looked_at = 0
        last, at = reader.last_seq(self.kind), max(0, seq - 1 - self.pulled // 2)
        furthest = min(last, seq + self._backlog)
        self._taken_seq = at
        while self._taken_seq < furthest:
            self._take_over(reader.since(self.kind, self._taken_seq, self.pulled))
            if self._rows and self._rows[-1].seq >= seq:
                break
        self._held_seq = self._sought_to = self._taken_seq
        self._stood_still()
        self.rows_changed()
        return bisect_left(self._rows, seq, key=lambda row: row.seq)

    # Following and pausing.

    def set_paused(self, paused: bool) -> None:
        """Stop or go on taking records in."""
        if paused and not self.paused:
            self._held_seq = self._taken_seq
        self.paused = paused
        self.refresh()

    def follow(self) -> None:
        """Go to the end and stay there; the cursor is taken off."""
        self.following = True
        self.paused = False
        self.cursor_key = None
        # What was counted meanwhile was looked at, so it is not left out now.
        self._sought_to = max(self._sought_to, self._counted_seq)
        self._to_end()
        self.refresh()
        self.refresh_bindings()

    def _to_end(self) -> None:
        """Scroll to the end even before the layout has found that a scroll bar is needed."""
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)
        # A scroll bar is not told of positions from before it was first shown.
        self.vertical_scrollbar.position = self.scroll_y

    def stand_still(self) -> None:
        """Stop following; what is in view stays."""
        if self.following:
            self.following = False
            self._held_seq = self._taken_seq
            self.refresh()
            self.refresh_bindings()

    def move_to(self, index: int) -> None:
        """Putting the cursor on a record stops following."""
        self.stand_still()
        super().move_to(index)

    def action_last(self) -> None:
        """Go to the end and follow."""
        self.follow()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """So does beginning to select text, which would move on otherwise."""
        if event.y >= self.title_rows:
            self.stand_still()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scrolling back stops following."""
        self.stand_still()

    def on_scroll_to(self) -> None:
        """So does dragging the scroll bar."""
        self.stand_still()

    def on_scroll_up(self) -> None:
        """And a click above its handle."""
        self.stand_still()

    def action_go_to_time(self) -> None:
        """Ask for a time."""
        self.post_message(self.TimeAsked(self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies to streams."""
        return True if action == "go_to_time" else super().check_action(action, parameters)

    def title_clicked(self, x: int) -> None:
        """A click on the headings, where the badge is, follows again."""
        self.follow()

    # Drawing.

    def badge(self) -> str:
        """What the reader needs to know about the end of the stream."""
        if self.moving:
            return ""
        state = " PAUSED" if self.paused else ""
        key = with_keys(self.app, "{follow}")
        return f"{state} +{count(self.pending)} new ({key}) "

    def draw_row(self, row: StreamRow, selected: bool) -> Strip:
        """A record, or the line that says how many are missing."""
        if isinstance(row, Record):
            return super().draw_row(row, selected)
        unseen = "not looked at" if self._choice else "not shown"
        text = f"{' ' * GUTTER}··· {count(row.number)} {unseen} ···"
        style = self.palette.base + self.palette.tones["warn"]
        return Strip([Segment(text, style)])

    def lay_out(self) -> None:
        """Choose the columns anew; a stream that follows stays at its end."""
        super().lay_out()
        self._stay_at_end()
        # Once more when the new height counts: it may not while the streams' neighbours grow.
        self.call_after_refresh(self._stay_at_end)

    def _stay_at_end(self) -> None:
        if self.following:
            self._to_end()
