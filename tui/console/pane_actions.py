"""The keys that go about in the panes: which one, its parts, holding it still, its order."""

from __future__ import annotations

from tui.console import screens
from tui.console.looking import LookingApp
from tui.console.opening import run_opening
from tui.console.widgets.stream import StreamView
from tui.console.widgets.table import TableView


class PaneActions(LookingApp):
    """The part of the application that is about the four panes."""

    def action_zoom(self, number: int) -> None:
        """Show one pane alone."""
        self.main.zoom(number)

    def action_overview(self) -> None:
        """Show all panes."""
        self.main.overview()

    def action_next_pane(self, step: int) -> None:
        """Go to another pane."""
        self.main.go(self.main.active.number + step)

    def action_other_part(self) -> None:
        """Go to the other half of the pane."""
        self.main.active.focus_part(1)

    def action_switch_cell(self) -> None:
        """Turn the switch under the matrix cursor."""
        self.main.events.matrix.action_switch()

    # Tables.

    def action_sort(self) -> None:
        """Sort the focused table by the next column."""
        if isinstance(self.focused, TableView):
            self.focused.action_sort()

    def action_reverse(self) -> None:
        """Turn the order of the focused table round."""
        if isinstance(self.focused, TableView):
            self.focused.action_reverse()

    # Streams.

    def action_pause(self) -> None:
        """Hold the active pane still, or let it go on; in a replay, all of it."""
        if self.replay is not None:
            self.replay.hold_or_go_on()
            return
        pane = self.main.active
        pane.set_paused(not pane.paused)
        self.refresh_bindings()

    def action_follow(self) -> None:
        """Go to the newest records of the active pane."""
        self.main.active.follow()
        self.look_at_streams()
        self.refresh_bindings()

    def on_stream_view_time_asked(self, message: StreamView.TimeAsked) -> None:
        """Let somebody choose a time and go there."""
        run_opening(self, self._go_to_time(message.view), group="dialogs", name="go to a time")

    async def _go_to_time(self, view: StreamView) -> None:
        ts_ns = await self.push_screen_wait(
            screens.GoToDialog(lambda: self.engine.snapshot().wall_ns)
        )
        if ts_ns is not None and (told := view.go_to_time(self.engine, ts_ns)):
            self.notify(told, markup=False)
