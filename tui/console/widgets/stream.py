"""A stream of records: the newest at the bottom, pulled on a timer.

While it follows, every pull goes to the end. Moving up, pausing or opening a record stops
that: what is in view stays, the badge counts what came since, and following again takes
that in. Records that arrived faster than a pull takes them leave a line saying how many.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from engine.core.records import Record
from tui.console.format import count
from tui.console.keymap import with_keys
from tui.console.moments import first_since
from tui.console.opening import ask
from tui.console.reader import RecordReader
from tui.console.scope import Scope
from tui.console.widgets.choice import Choice
from tui.console.widgets.columns import Column, lift
from tui.console.widgets.lines import LineView
from tui.console.widgets.row_strips import GUTTER
from tui.console.widgets.stream_rows import PULLED, Held, StreamRow, StreamRows


@dataclass(frozen=True, slots=True)
class _Place:
    """Where somebody stood before a scope was entered."""

    held: Held
    cursor_key: Hashable
    top_row: int


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
        self._only: Callable[[Record], bool] | None = None
        self._rows = StreamRows(kind, self.pulled)
        self._places: list[_Place | None] = []
        """One for each scope entered; None where the stream was followed."""

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
        return self._rows.index_of(key) if isinstance(key, int) else None

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
        return (self._rows.shown, self._rows.looked_at)

    @property
    def looking_back(self) -> bool:
        """Whether what came before is still being looked through, so that the newest is to come."""
        return self.moving and self._rows.backlog_left

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
        if place is not None and place.held.choice == self._rows.choice:
            self._go_back_to(place)

    def _place(self) -> _Place:
        return _Place(self._rows.held(), self.cursor_key, self.top_row)

    def _go_back_to(self, place: _Place) -> None:
        self._rows.go_back(place.held)
        self.cursor_key = place.cursor_key
        self.following = False
        self.rows_changed()
        self.scroll_to(y=place.top_row, animate=False, force=True, immediate=True)

    def refilter(self) -> None:
        """Begin anew with the records that are wanted; paused, with those from before."""
        self._rows.choose(Choice(self._only, self.scope, self.filter))
        self.cursor_key = None
        self.following = True
        self.rows_changed()

    # Pulling.

    def on_show(self) -> None:
        """Ask to be pulled."""
        self.post_message(self.CameIntoView())

    def pull(self, reader: RecordReader) -> None:
        """Take in what is new, or count it while the view stands still."""
        last = reader.last_seq(self.kind)
        if self._rows.has_begun_anew(reader.epoch, last):
            self._begin_anew(last)
        if self.moving:
            self._rows.hold(last)
        if self._rows.take(reader):
            self._show_taken(reader)
        if self.moving:
            # A layout that comes while rows do may change the height without a Resize.
            if self.scroll_y != self.max_scroll_y:
                self._to_end()
        elif self._rows.count(reader, last):
            self.refresh_lines(self.top_row)

    def _begin_anew(self, last: int) -> None:
        """A replay has gone back, or it is another engine: what was shown is not what there is."""
        self._rows.hold(last)
        self._places = [None] * len(self._places)
        self.refilter()

    def _show_taken(self, reader: RecordReader) -> None:
        self.taken(reader)
        self.fit_virtual_size()
        self._to_end()
        self.refresh()

    def taken(self, reader: RecordReader) -> None:
        """New records are in; for a stream that keeps more than these."""

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
        if not self._rows.covers(seq):
            self._rows.load_around(reader, seq)
            self.rows_changed()
        if not self.row_count:
            return "nothing is shown from that time"
        index = self._rows.position(seq)
        self.move_to(index)
        above = max(0, index - self.page_rows // 2)
        self.scroll_to(y=above, animate=False, force=True, immediate=True)
        return "" if exact else "this is the oldest that is kept"

    # Following and pausing.

    def set_paused(self, paused: bool) -> None:
        """Stop or go on taking records in."""
        if paused and not self.paused:
            self._rows.hold()
        self.paused = paused
        self.refresh()

    def follow(self) -> None:
        """Go to the end and stay there; the cursor is taken off."""
        self.following = True
        self.paused = False
        self.cursor_key = None
        self._rows.go_on()
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
            self._rows.hold()
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
        ask(self, self.TimeAsked(self))

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
        return f"{state} +{count(self._rows.pending)} new ({key}) "

    def draw_row(self, row: StreamRow, selected: bool) -> Strip:
        """A record, or the line that says how many are missing."""
        if isinstance(row, Record):
            return super().draw_row(row, selected)
        unseen = "not looked at" if self._rows.choice else "not shown"
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
