"""What the four panes have in common: a notice, parts to focus, pausing and following."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from engine.core.filters.values import as_text, leaves
from engine.core.kinds import KINDS
from engine.core.snapshot import Snapshot
from tui.console.widgets.filter_bar import FilterBar
from tui.console.widgets.lines import LineView
from tui.console.widgets.notice import Notice
from tui.console.widgets.stream import RecordReader, StreamView

_SAMPLED = 500
"""Rows whose values are offered while a filter is written."""
_TIGHT_HEIGHT = 8
"""Below this many lines a pane shows one of its parts instead of all."""


class Pane(Vertical):
    """One of the four panes.

    A pane owns no engine: it is shown a snapshot once a second, and its streams pull from the
    reader they are handed five times a second.
    """

    number: ClassVar[int]
    heading: str
    """What the pane is called on its border and in the tab strip."""
    sources: ClassVar[tuple[str, ...]]
    """Sources whose state the pane tells when they cannot run."""

    def __init__(self) -> None:
        super().__init__(id=f"pane-{self.number}")
        self.paused = False
        self.filter_bar = FilterBar()
        self._current: Widget | None = None
        self._snapshot: Snapshot | None = None
        self._shown: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """The notice, the parts, the line to filter them with."""
        yield Notice()
        yield from self.compose_parts()
        yield self.filter_bar

    def compose_parts(self) -> ComposeResult:
        """The widgets of the pane."""
        raise NotImplementedError

    @property
    def parts(self) -> Sequence[Widget]:
        """What can be focused in the pane, top to bottom."""
        raise NotImplementedError

    @property
    def in_view(self) -> bool:
        """Whether the pane can be seen now."""
        return self.display and bool(self.size)

    @property
    def streams(self) -> tuple[StreamView, ...]:
        """The streams of the pane."""
        return tuple(part for part in self.parts if isinstance(part, StreamView))

    @property
    def moving(self) -> bool:
        """Whether everything in the pane keeps up with the engine."""
        return not self.paused and all(stream.moving for stream in self.streams)

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Take over a snapshot; tables are drawn unless paused or out of view."""
        self._snapshot = snapshot
        self.remember(snapshot)
        if self.in_view:
            self._draw()

    def remember(self, snapshot: Snapshot) -> None:
        """Take from a snapshot what must not be missed while the pane is out of view."""

    def show_tables(self, snapshot: Snapshot) -> None:
        """Draw the tables of the pane; not called while it is paused."""

    def show_switches(self, snapshot: Snapshot) -> None:
        """Draw what goes on even while the pane is paused."""

    def _draw(self) -> None:
        snapshot = self._snapshot
        if snapshot is None or snapshot is self._shown:
            return
        self.query_one(Notice).show(
            snapshot.sources[name] for name in self.sources if name in snapshot.sources
        )
        self.show_switches(snapshot)
        if not self.paused:
            self._shown = snapshot
            self.show_tables(snapshot)
        self._count_filtered()

    def pull(self, reader: RecordReader) -> None:
        """Let the streams in view take in what is new."""
        if not self.in_view:
            return
        self._draw()
        for stream in self.streams:
            if stream.size:
                stream.pull(reader)
        self._count_filtered()

    def on_mount(self) -> None:
        """Begin with the first part."""
        for part in self.parts:
            self.frame_of(part).add_class("part")
        self.make_current(self.parts[0])

    def on_resize(self) -> None:
        """A pane of a few lines shows one part only."""
        self.set_class(self.size.height < _TIGHT_HEIGHT, "-tight")

    # Acting.

    def set_paused(self, paused: bool) -> None:
        """Stop or go on; what the engine collects meanwhile is only counted."""
        self.paused = paused
        for stream in self.streams:
            stream.set_paused(paused)
        self.update_title()
        self._draw()

    def follow(self) -> None:
        """Go on, and go to the end of every stream."""
        self.set_paused(False)
        for stream in self.streams:
            stream.follow()

    def update_title(self) -> None:
        """The border tells the pane's number, whether it is active, and whether it is paused."""
        active = "► " if self.has_class("-active") else ""
        paused = " PAUSED" if self.paused else ""
        self.border_title = f"{active}{self.number} {self.heading}{paused}"

    # Focus.

    @property
    def current_part(self) -> Widget:
        """The part that was focused last, else the first."""
        return self._current or self.parts[0]

    def frame_of(self, part: Widget) -> Widget:
        """What is shown or hidden with a part: the part itself, or the box around it."""
        return part

    def make_current(self, current: Widget) -> None:
        """Remember which part has the focus."""
        self._current = current
        for part in self.parts:
            self.frame_of(part).set_class(part is current, "-current")
        if isinstance(current, LineView):
            self.filter_bar.show_for(current.kinds, current.filter, partial(_seen, current))
        else:
            self.filter_bar.display = False

    def focus_part(self, step: int = 0) -> None:
        """Focus the current part, or the one `step` further."""
        parts = list(self.parts)
        current = parts[(parts.index(self.current_part) + step) % len(parts)]
        self.make_current(current)
        current.focus()

    # Filtering.

    def on_line_view_filter_asked(self, message: LineView.FilterAsked) -> None:
        """Let somebody write a filter for a part of the pane."""
        message.stop()
        self.make_current(message.view)
        self.filter_bar.open()

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Show what the filter chooses."""
        message.stop()
        if isinstance(self.current_part, LineView):
            self.current_part.set_filter(message.filter)
            self._count_filtered()
            self.post_message(StreamView.CameIntoView())

    def on_filter_bar_left(self, message: FilterBar.Left) -> None:
        """Go to what is shown."""
        message.stop()
        self.focus_part()

    def _count_filtered(self) -> None:
        if isinstance(self.current_part, LineView):
            self.filter_bar.show_counts(*self.current_part.filter_counts)


def _seen(view: LineView[Any], path: str) -> Iterator[str]:
    """Values that a field has in the last rows of a list, each once."""
    name, _dot, inner = path.partition(".")
    found: dict[str, None] = {}
    for index in range(max(0, view.row_count - _SAMPLED), view.row_count):
        record = view.record_of(view.row_at(index))
        if record is not None and name in KINDS[record.kind].names:
            found.update(dict.fromkeys(map(as_text, leaves(record.get(name), inner))))
    yield from sorted(filter(None, found))
