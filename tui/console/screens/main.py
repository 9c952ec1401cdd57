"""The main screen: header, honesty line, and the four panes as a grid or one at a time."""

from __future__ import annotations

from typing import NamedTuple

from textual import events
from textual.app import ComposeResult
from textual.containers import Container

from engine.core.snapshot import Snapshot
from tui.console.history import History
from tui.console.panes.base import Pane
from tui.console.panes.events import EventsPane
from tui.console.panes.plugins import PluginsPane
from tui.console.panes.ports import PortsPane
from tui.console.panes.traffic import TrafficPane
from tui.console.reader import RecordReader
from tui.console.scope import Scope
from tui.console.trends import TRENDS, trend
from tui.console.widgets.header import HeaderLine
from tui.console.widgets.honesty import HonestyLine
from tui.console.widgets.keyline import KeyLine
from tui.console.widgets.marking import mark
from tui.console.widgets.selection import SelectsLines
from tui.console.widgets.tabs import Tab, TabStrip

GRID_WIDTH = 100
"""Columns below which one pane is shown at a time."""
GRID_HEIGHT = 20
"""Lines below which one pane is shown at a time."""


class Place(NamedTuple):
    """Where somebody was before a scope was entered."""

    pane: int
    zoomed: bool
    part: int = 0
    """Part of the screen about the process, if that is where they were; 0 for the panes."""


class MainScreen(SelectsLines, inherit_bindings=False):
    """The four panes; knows which one is active and whether it is zoomed."""

    def __init__(self) -> None:
        super().__init__()
        self.header = HeaderLine()
        self.honesty = HonestyLine()
        self.tabs = TabStrip()
        self.keys = KeyLine()
        self.events = EventsPane()
        self.history = History()
        self.plugins = PluginsPane(self.history)
        self.panes: tuple[Pane, ...] = (self.plugins, PortsPane(), self.events, TrafficPane())
        self.zoomed = False
        self._scopes: list[tuple[Scope, Place]] = []
        self._active = 0
        self._snapshot: Snapshot | None = None

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield self.header
        yield self.honesty
        yield self.tabs
        with Container(id="panes"):
            yield from self.panes
        yield self.keys

    @property
    def active(self) -> Pane:
        """The pane the keys act on."""
        return self.panes[self._active]

    @property
    def single(self) -> bool:
        """Whether one pane is shown at a time."""
        return self.zoomed or self.small

    @property
    def small(self) -> bool:
        """Whether the screen has no room for four panes."""
        return self.size.width < GRID_WIDTH or self.size.height < GRID_HEIGHT

    def on_mount(self) -> None:
        """Begin with the first pane."""
        self.rearrange()
        self.active.focus_part()

    def on_resize(self, event: events.Resize) -> None:
        """Change between grid and single pane as the room allows."""
        self.rearrange()

    def rearrange(self) -> None:
        """Show what is to be shown and mark what is active."""
        self.set_class(self.single, "-single")
        for pane in self.panes:
            active = pane is self.active
            mark(pane, active, "-active")
            pane.display = active or not self.single
            pane.update_title()
        self._show_tabs()
        self.refresh_bindings()
        # What fits a title is known when there is room for it.
        self.call_after_refresh(self._show_trends)

    def _show_tabs(self) -> None:
        states = (
            {name: status.state for name, status in self._snapshot.sources.items()}
            if self._snapshot
            else {}
        )
        self.tabs.show(
            [
                Tab(
                    pane.number,
                    pane.heading,
                    pane is self.active,
                    any(states.get(name) in ("failed", "degraded") for name in pane.sources),
                )
                for pane in self.panes
            ]
        )

    # Going about.

    def go(self, number: int) -> None:
        """Make a pane the active one."""
        self._active = (number - 1) % len(self.panes)
        self.rearrange()
        self.active.focus_part()

    def zoom(self, number: int) -> None:
        """Show a pane alone."""
        self.zoomed = True
        self.go(number)

    def begin_with(self, number: int) -> None:
        """Show a pane alone from the beginning; before anything is drawn."""
        self.zoomed, self._active = True, number - 1

    def overview(self) -> None:
        """Back to all four panes."""
        self.zoomed = False
        self.go(self.active.number)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The pane that got the focus, by key or mouse, is the active one."""
        for position, pane in enumerate(self.panes):
            if event.widget in pane.parts:
                pane.make_current(event.widget)
                if position != self._active:
                    self._active = position
                    self.rearrange()
                self.refresh_bindings()

    # Scope.

    @property
    def scope(self) -> Scope | None:
        """The process everything is about; None for all."""
        return self._scopes[-1][0] if self._scopes else None

    @property
    def outer_scopes(self) -> tuple[Scope, ...]:
        """The scopes that are entered, without the last one."""
        return tuple(scope for scope, _place in self._scopes[:-1])

    @property
    def place(self) -> Place:
        """Where one is now."""
        return Place(self.active.number, self.zoomed)

    def enter_scope(self, scope: Scope, place: Place) -> None:
        """Show a process only; `place` is given back when that is over."""
        self._scopes.append((scope, place))
        for pane in self.panes:
            pane.enter_scope(scope)
        self._tell_scope()

    def leave_scope(self) -> Place | None:
        """Show what was shown before; gives where that was."""
        if not self._scopes:
            return None
        _scope, place = self._scopes.pop()
        for pane in self.panes:
            pane.leave_scope(self.scope)
        self._tell_scope()
        return place

    def scope_has_changed(self) -> None:
        """Other processes belong to the scope than before."""
        for pane in self.panes:
            pane.scope_has_changed()

    def _tell_scope(self) -> None:
        self.header.show_scope([str(scope) for scope, _place in self._scopes])
        self.refresh_bindings()

    def go_to(self, place: Place) -> None:
        """Be where one was."""
        self.zoomed = place.zoomed
        self.go(place.pane)

    def on_tab_strip_chosen(self, message: TabStrip.Chosen) -> None:
        """A tab was clicked; that of the pane shown alone leads back to all."""
        if self.zoomed and not self.small and message.number == self.active.number:
            self.overview()
        else:
            self.go(message.number)

    def on_pane_title_clicked(self, message: Pane.TitleClicked) -> None:
        """Show the pane alone; then its tab leads back."""
        self.zoom(message.pane.number)

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Hand a snapshot to everything that shows states."""
        self._snapshot = snapshot
        self.header.show(snapshot)
        self.honesty.show(snapshot)
        self._show_tabs()
        self._show_trends()
        for pane in self.panes:
            pane.show(snapshot)
        self.keys.look_again()

    def _show_trends(self) -> None:
        """Tell the last minutes of each pane in its title, of a pane alone beside the tabs."""
        for pane in self.panes:
            if pane.display and not self.single:
                pane.show_trend(trend(self.history, TRENDS[pane.number], pane.trend_room))
        if self.single:
            self.tabs.show_note(trend(self.history, TRENDS[self.active.number], self.tabs.room))

    def remember(self, snapshot: Snapshot) -> None:
        """Take from a snapshot what must not be missed while other screens cover the panes."""
        for pane in self.panes:
            pane.remember(snapshot)

    def pull(self, reader: RecordReader) -> None:
        """Let the streams in view take in what is new."""
        for pane in self.panes:
            pane.pull(reader)
