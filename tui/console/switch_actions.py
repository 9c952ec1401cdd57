"""Turning kernel events on and off: the switches of the matrix, presets, and what they cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from engine.core.errors import BoxscopeError
from tui.console import screens
from tui.console.looking import LookingApp
from tui.console.presets import preset_choices
from tui.console.widgets.cells import CellKey
from tui.console.widgets.matrix import MatrixView

AFTER_COMMAND_S = (0.01, 0.02, 0.035, 0.055, 0.08)
"""When to look at the streams after a command, so that its effect is seen at once."""
CONFIRM_AFTER_S = 0.1
"""When to look at the tables then; drawing them first would hold up the streams."""


class SwitchActions(LookingApp):
    """The part of the application that is about subscriptions."""

    commands: asyncio.Lock
    """Held while subscriptions and scopes of the engine change."""
    _timing = False

    def on_matrix_view_toggled(self, message: MatrixView.Toggled) -> None:
        """Pass a turned switch on to the engine."""
        self.switch(message.keys, message.wanted)

    def switch(self, keys: Sequence[CellKey], wanted: bool) -> None:
        """Turn subscriptions on or off."""
        run = self._tell_engine(keys, lambda: self.engine.switch(keys, wanted))
        self.run_worker(run, group="commands", name="switch a subscription")

    async def _tell_engine(self, keys: Sequence[CellKey], command: Callable[[], None]) -> None:
        """Have the engine change subscriptions, one command after the other, and look at it."""
        async with self.commands:
            try:
                await asyncio.to_thread(command)
            except BoxscopeError as error:
                self.complain(error)
        for delay in AFTER_COMMAND_S:
            self.set_timer(delay, self.look_at_streams)
        self.set_timer(CONFIRM_AFTER_S, partial(self._confirm, keys))

    def _confirm(self, keys: Sequence[CellKey]) -> None:
        """Show the engine's own picture of some cells again."""
        self.main.events.settle(keys)
        self.look_at_tables()

    async def on_matrix_view_presets_asked(self) -> None:
        """Let somebody choose a preset."""
        choices = await asyncio.to_thread(preset_choices, self.main.events.matrix.switches)
        self.push_screen(screens.PresetScreen(choices), self._apply_preset)

    def _apply_preset(self, chosen: tuple[str, bool] | None) -> None:
        if chosen is not None:
            name, wanted = chosen
            self.switch([(name, "")], wanted)

    def on_matrix_view_cost_asked(self) -> None:
        """Have the kernel time the probe's programs, or no longer."""
        wanted = not self._timing

        def command() -> None:
            self.engine.time_programs(wanted)
            self._timing = wanted

        self.run_worker(self._tell_engine((), command), group="commands", name="time programs")
