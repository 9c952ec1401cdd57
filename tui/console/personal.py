"""What somebody has arranged to their liking: keys, colours, and a workspace to come back to."""

from __future__ import annotations

import asyncio
from functools import partial

from engine.core.errors import BoxscopeError
from engine.core.filters import Filter
from engine.core.sanitise import clean
from engine.core.settings import config_path
from engine.workspace import PANES, Restored, Workspace
from engine.workspace_parts import load_parts, with_engine_state
from tui.console import screens
from tui.console.keymap import Keymap
from tui.console.looking import LookingApp
from tui.console.opening import run_opening
from tui.console.options import ConsoleOptions
from tui.console.themes import OWN

READ_FOR_S = 30.0
"""How long a refusal while a workspace is opened is shown; nobody may be looking yet."""
_NAME = "boxscope-workspace.toml"


class PersonalActions(LookingApp):
    """The part of the application that is about how somebody likes it."""

    keymap: Keymap

    @property
    def ports(self) -> str | None:
        """The ports that were asked for; None if nobody did."""
        raise NotImplementedError

    # Keys and colours.

    def take_options(self, options: ConsoleOptions) -> None:
        """Use the keys and colours that were chosen; before anything is drawn."""
        self.options, self.keymap = options, options.keymap
        self._restored = Restored()
        self.set_keymap(dict(options.keymap.chosen))
        for theme in OWN:
            self.register_theme(theme)
        self.theme = options.theme

    def action_choose_theme(self) -> None:
        """Choose other colours, and see them meanwhile."""
        self.push_screen(screens.ThemeScreen(self.theme), self._take_theme)

    def _take_theme(self, name: str | None) -> None:
        if name is not None:
            self.keep_theme(name)

    def keep_theme(self, name: str) -> None:
        """Take a theme, and tell how to keep it for good."""
        self.theme = name
        self.notify(
            f'to keep it: theme = "{name}" in {clean(str(config_path()))}',
            title=f"theme {name}",
            markup=False,
        )

    # Workspaces.

    @property
    def workspace(self) -> Workspace:
        """What was opened."""
        return self.options.workspace.workspace

    def arrange_workspace(self) -> None:
        """Filter and zoom as the workspace says; before anything is drawn."""
        for pane in self.main.panes:
            for view in pane.lists:
                if text := self.workspace.filters.get(view.id or ""):
                    view.filter = Filter(text, view.kinds)
        if self.workspace.zoom is not None:
            self.main.begin_with(PANES.index(self.workspace.zoom) + 1)

    async def load_workspace(self) -> None:
        """Load what the workspace names; tell what is refused."""
        try:
            self._restored = await asyncio.to_thread(load_parts, self.engine, self.workspace)
        except BoxscopeError as gone:  # an engine of another process can be
            self._restored = Restored(errors=(gone,))
        for error in self._restored.errors:
            self.complain(error, title="not restored", seconds=READ_FOR_S)
        self.look()

    def _shown_workspace(self) -> Workspace:
        """The workspace with what is filtered and shown now."""
        changes = {
            "theme": self.theme if self.workspace.theme or self.theme != self.options.theme else "",
            "zoom": PANES[self.main.active.number - 1] if self.main.zoomed else None,
            "filters": {
                str(view.id): view.filter.text
                for pane in self.main.panes
                for view in pane.lists
                if view.filter is not None
            },
        }
        return self.workspace.model_copy(update=changes)

    def action_save_workspace(self) -> None:
        """Ask for a file and write what there is into it."""
        run_opening(self, self._save_workspace(), group="dialogs", name="save a workspace")

    async def _save_workspace(self) -> None:
        path = str(self.options.workspace.path or _NAME)
        present = partial(
            with_engine_state,
            self._shown_workspace(),
            self.engine,
            self._restored,
            ports=self.ports,
        )
        written = await self.push_screen_wait(screens.WorkspaceDialog(path, present))
        if written is not None:
            told = clean(str(written))
            self.notify(f"saved: boxscope --workspace {told}", markup=False)
