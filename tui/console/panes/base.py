"""What the four panes have in common: a notice, parts to focus, pausing and following."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from engine.core.snapshot import Snapshot
from engine.core.source import SourceStatus
from tui.console.reader import RecordReader
from tui.console.scope import Scope
from tui.console.widgets.lines import LineView
from tui.console.widgets.list_tools import ListTools
from tui.console.widgets.marking import mark
from tui.console.widgets.notice import Notice
from tui.console.widgets.stream import StreamView

_TITLE_EDGE = 6
"""Cells of the border beside a title, and between its parts."""
_TIGHT_HEIGHT = 8
"""Below this many lines a pane shows one of its parts instead of all."""


class Pane(ListTools, Vertical):
    """One of the four panes.

    A pane owns no engine: it is shown a snapshot once a second, and its streams pull from the
    reader they are handed five times a second.
    """

    number: ClassVar[int]
    heading: str
    """What the pane is called on its border and in the tab strip."""
    sources: ClassVar[tuple[str, ...]]
    """Sources whose state the pane tells when they cannot run."""

    class TitleClicked(Message):
        """Somebody wants to see this pane alone."""

        def __init__(self, pane: Pane) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self) -> None:
        super().__init__(id=f"pane-{self.number}")
        self.paused = False
        self._trend = ""
        self.make_tools()
        self._current: Widget | None = None
        self._snapshot: Snapshot | None = None
        self._shown: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """The notice, the parts, the lines to filter them and to find something with."""
        yield Notice()
        yield from self.compose_parts()
        yield from self.compose_tools()

    def compose_parts(self) -> ComposeResult:
        """The widgets of the pane."""
        raise NotImplementedError

    @property
    def parts(self) -> Sequence[Widget]:
        """What can be focused in the pane, top to bottom."""
        raise NotImplementedError

    @property
    def statuses(self) -> tuple[SourceStatus, ...]:
        """How the sources of the pane are, as far as there are any."""
        sources = self._snapshot.sources if self._snapshot is not None else {}
        return tuple(sources[name] for name in self.sources if name in sources)

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
        self.query_one(Notice).show(self.statuses, live=snapshot.replay is None)
        self.show_switches(snapshot)
        if not self.paused:
            self._shown = snapshot
            self.show_tables(snapshot)
        self.count_filtered()

    def pull(self, reader: RecordReader) -> None:
        """Let the streams in view take in what is new."""
        if not self.in_view:
            return
        self._draw()
        for stream in self.streams:
            if stream.size:
                stream.pull(reader)
        self.count_filtered()

    def on_mount(self) -> None:
        """Begin with the first part."""
        for part in self.parts:
            self.frame_of(part).add_class("part")
        self.make_current(self.parts[0])

    def on_resize(self) -> None:
        """A pane of a few lines shows one part only."""
        self.set_class(self.size.height < _TIGHT_HEIGHT, "-tight")

    @property
    def is_live(self) -> bool:
        """Whether there is a box to act on, and not a recording."""
        return self._snapshot is None or self._snapshot.replay is None

    def offers(self, action: str) -> bool:
        """Whether an action of the pane can be carried out now; the line of keys has no other."""
        return True

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

    # Scope.

    @property
    def lists(self) -> tuple[LineView[Any], ...]:
        """The lists of the pane."""
        return tuple(part for part in self.parts if isinstance(part, LineView))

    def enter_scope(self, scope: Scope) -> None:
        """Show what belongs to a process only."""
        for view in self.lists:
            view.enter_scope(scope)

    def leave_scope(self, outer: Scope | None) -> None:
        """Show what was shown before."""
        for view in self.lists:
            view.leave_scope(outer)

    def scope_has_changed(self) -> None:
        """The scope means other processes than before; streams take that in as they go on."""
        for view in self.lists:
            if not isinstance(view, StreamView):
                view.refilter()

    def update_title(self) -> None:
        """The border tells number and name of the pane, whether it is active, and its trend."""
        active = "► " if self.has_class("-active") else ""
        paused = " PAUSED" if self.paused else ""
        trend = f"  {self._trend}" if self._trend else ""
        title = f"{active}{self.number} {self.heading}{paused}{trend}"
        if title != self.border_title:
            self.border_title = title

    @property
    def trend_room(self) -> int:
        """Cells that the last minutes of the pane have in its title."""
        return self.size.width - len(f"► {self.number} {self.heading} PAUSED") - _TITLE_EDGE

    def show_trend(self, text: str) -> None:
        """Tell in the title how the last minutes were."""
        self._trend = text
        self.update_title()

    def on_click(self, event: events.Click) -> None:
        """A click on the title, in the border, zooms."""
        if event.widget is self and event.y == 0 and self.styles.border_top[0]:
            self.post_message(self.TitleClicked(self))

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
            mark(self.frame_of(part), part is current, "-current")
        self.offer_tools_for(current)

    def focus_part(self, step: int = 0) -> None:
        """Focus the current part, or the one `step` further."""
        parts = list(self.parts)
        current = parts[(parts.index(self.current_part) + step) % len(parts)]
        self.make_current(current)
        # At once: what is typed next is meant for this part.
        self.screen.set_focus(current)
