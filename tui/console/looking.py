"""Looking at the engine: tables, streams and progress in turn, and at once after a change."""

from __future__ import annotations

from collections.abc import Awaitable

from textual.app import App

from engine.core.errors import BoxscopeError
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.engine import Engine
from tui.console.opening import run_opening
from tui.console.options import ConsoleOptions
from tui.console.past import Past
from tui.console.replaying import ReplayCommands
from tui.console.scoping import Scoping
from tui.console.screens.main import MainScreen
from tui.console.screens.parts import PartsScreen
from tui.console.troubles import Troubles

PROGRESS_EVERY_S = 0.25
STEPS_EVERY_S = 0.04
"""Time between two looks at whether a module has done something."""
LOOKS_AFTER_STEP = 2


class LookingApp(App[None]):
    """The application as far as it shows an engine; its other parts are about what one can do."""

    engine: Engine
    options: ConsoleOptions
    main: MainScreen
    scoping: Scoping
    past: Past
    troubles: Troubles
    replay: ReplayCommands | None
    """Where a recording is replayed, what moves its playhead."""
    _steps = _steps_looks = 0

    @property
    def is_live(self) -> bool:
        """Whether there is a box to act on, and not a recording."""
        return self.replay is None

    def begin_looking(self) -> None:
        """Show what there is, and go on doing so."""
        self.look_at_tables()
        self.set_interval(1 / self.options.table_redraws, self.look_at_tables)
        self.set_interval(1 / self.options.stream_redraws, self.look_at_streams)
        self.set_interval(STEPS_EVERY_S, self.look_after_step)
        self.set_interval(PROGRESS_EVERY_S, self.look_at_progress)

    def look(self, _result: None = None) -> None:
        """Look at everything at once; what is in view has changed."""
        self.look_at_tables()
        self.look_at_streams()

    def look_at_tables(self) -> None:
        """Take a snapshot and show it."""
        if self._engine_is_away:
            return
        if self.scoping.has_to_keep_up:
            self.run_worker(self.scoping.keep_up(), group="tree", name="look at the tree")
        snapshot = self._snapshot()
        overlay = self.overlay
        if overlay is not None:
            self.main.remember(snapshot)
            overlay.show(snapshot)
        else:
            self.main.show(snapshot)
        self.note_selection()

    def _snapshot(self) -> Snapshot:
        """How the engine is now, and noted in the history of its figures."""
        snapshot = self.engine.snapshot()
        for trouble in self.troubles.news(snapshot):
            self.notify(trouble, severity="warning", markup=False)
        if self.past.wants_records(snapshot):
            self.carry_out(self.past.catch_up(snapshot), "the past")
        else:
            self.past.look(snapshot)
        return snapshot

    def look_at_streams(self) -> None:
        """Let the streams take in what is new."""
        if self._engine_is_away:
            return
        overlay = self.overlay
        if overlay is not None:
            overlay.pull(self.engine)
            overlay.count_filtered()
        else:
            self.main.pull(self.engine)
        self.note_selection()

    def note_selection(self) -> None:
        """The rows may be about something else now."""

    def on_stream_view_came_into_view(self) -> None:
        """Do not leave a stream empty until the next tick."""
        self.look_at_streams()

    @property
    def _engine_is_away(self) -> bool:
        """Whether whoever asks the engine now would have to wait, and the screen with him."""
        return self.replay is not None and self.replay.busy

    def look_at_progress(self) -> None:
        """Tell what takes long."""
        header = self.main.header
        if header.show_tasks(self.engine.progress()):
            self.refresh_bindings()
        overlay = self.overlay
        if overlay is not None:
            overlay.show_progress(header.progress)

    def look_after_step(self) -> None:
        """Look at the streams soon after a module has done something, and not only in turn.

        What it does shows in the kernel events some 30 ms after the step that led to it.
        """
        if self._engine_is_away:
            return
        steps = self.engine.last_seq("module_event")
        if steps != self._steps:
            self._steps, self._steps_looks = steps, LOOKS_AFTER_STEP
        if self._steps_looks:
            self._steps_looks -= 1
            self.look_at_streams()

    # What covers the panes.

    @property
    def overlay(self) -> PartsScreen | None:
        """The screen that covers the panes, the one in view of several."""
        screens = reversed(self.screen_stack)
        return next((screen for screen in screens if isinstance(screen, PartsScreen)), None)

    async def cover(self, screen: PartsScreen) -> None:
        """Put a screen over the panes."""
        await self.push_screen(screen, self.look)
        self.look()

    # What came of a wish.

    def carry_out(self, wish: Awaitable[None], group: str, *, opens: bool = False) -> None:
        """Have something done without being held up, and tell if it is refused.

        Args:
            wish: Does it.
            group: What it is about.
            opens: It leads to a dialog or a screen, which what is typed meanwhile is meant for.
        """

        async def attempt() -> None:
            try:
                await wish
            except BoxscopeError as error:
                self.complain(error)

        name = f"carry out what is asked of {group}"
        if opens:
            run_opening(self, attempt(), group=group, name=name)
        else:
            self.run_worker(attempt(), group=group, name=name)

    def complain(
        self, error: BoxscopeError, *, title: str = "refused", seconds: float | None = None
    ) -> None:
        """Tell that a command failed, and what to do.

        Args:
            error: What failed.
            title: What became of it in a word.
            seconds: How long it is shown; None for as long as other notices.
        """
        text = clean(error.message) + (f"\n{clean(error.fix)}" if error.fix else "")
        self.notify(text, title=title, severity="error", timeout=seconds, markup=False)
