"""The keys that lead to one process and back."""

from __future__ import annotations

from tui.console import screens
from tui.console.pane_actions import PaneActions
from tui.console.scope import Process
from tui.console.screens.main import Place
from tui.console.widgets.header import HeaderLine
from tui.console.widgets.lines import LineView


class ScopeActions(PaneActions):
    """The part of the application that is about scopes and processes."""

    _offered: Process | None = None
    """The process that the footer's keys were shown for."""

    def action_scope(self) -> None:
        """All panes about the selected process only; again, about what they were about before."""
        scope, process = self.main.scope, self.selected_process
        if scope is not None and process in (None, scope.process):
            self.action_leave_scope()
        elif process is not None:
            self._enter_scope(process, tree=False, place=self.main.place)

    def action_scope_tree(self) -> None:
        """The same for a process with all that descend from it."""
        scope = self.main.scope
        process = self.selected_process or (scope.process if scope else None)
        if scope is not None and scope.tree is not None and process == scope.process:
            self.action_leave_scope()
        elif process is not None:
            self._enter_scope(process, tree=True, place=self.main.place)

    def action_leave_scope(self) -> None:
        """Back to what was shown before."""
        self.run_worker(self._leave_scope(), group="scope", name="leave the scope")

    def on_header_line_crumb_clicked(self, message: HeaderLine.CrumbClicked) -> None:
        """Back to a step of the way in."""

        async def go_back() -> None:
            while self.main.scope is not None and len(self.main.outer_scopes) >= message.depth:
                await self.scoping.leave()
            self.look()

        self.run_worker(go_back(), group="scope", name="leave scopes")

    async def _leave_scope(self) -> None:
        scope = self.main.scope
        place = await self.scoping.leave()
        self.look()
        if scope is not None and place is not None and place.part:
            self.main.go_to(place)
            screen = screens.ProcessScreen(scope.process, self.engine)
            await self.cover(screen)
            screen.go(place.part)

    def _enter_scope(self, process: Process, *, tree: bool, place: Place) -> None:
        async def enter() -> None:
            await self.scoping.enter(process, tree=tree, place=place)
            self.look()

        self.run_worker(enter(), group="scope", name="enter a scope")

    def on_process_screen_scope_asked(self, message: screens.ProcessScreen.ScopeAsked) -> None:
        """Show the process of a screen in the panes."""
        place = self.main.place._replace(part=message.part)
        self._enter_scope(message.process, tree=message.tree, place=place)
        if message.pane:
            self.main.go(message.pane)

    @property
    def selected_process(self) -> Process | None:
        """The process of the row under the cursor, if there is one."""
        return self.focused.process if isinstance(self.focused, LineView) else None

    def note_selection(self) -> None:
        """Have the footer show what applies, if the rows came to be about another process."""
        if not self.screen_stack:
            return  # Leaving: the timers end last.
        if (process := self.selected_process) != self._offered:
            self._offered = process
            self.refresh_bindings()

    async def action_process(self) -> None:
        """Open what there is to know about the process of the selected row."""
        if (process := self.selected_process) is not None:
            await self.cover(screens.ProcessScreen(process, self.engine))

    def action_step_back(self) -> None:
        """From one pane to all, else out of the scope."""
        if self.check_action("overview", ()):
            self.action_overview()
        else:
            self.action_leave_scope()
