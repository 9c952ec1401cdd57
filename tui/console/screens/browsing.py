"""A screen about one record, from which one goes to the next and the one before."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from engine.core.records import Record
from tui.console.browser import RecordBrowser
from tui.console.opening import run_opening
from tui.console.screens.parts import Part, PartsScreen


class BrowsingScreen(PartsScreen):
    """Stays on its record while others arrive.

    Args:
        browser: The record, and those around it.
        parts: What of it is shown.
    """

    def __init__(self, browser: RecordBrowser, parts: Sequence[Part]) -> None:
        self._browser = browser
        super().__init__(parts)

    @property
    def subject(self) -> Record:
        """The record that is looked at."""
        return self._browser.record

    def on_mount(self) -> None:
        """Show the record; the framework calls what the classes above do, too."""
        self.draw()

    def draw(self) -> None:
        """Show the record; it is another one."""
        raise NotImplementedError

    def head(self, remark: str = "") -> None:
        """Write the line on top: which record it is, and a remark."""
        raise NotImplementedError

    def action_step(self, direction: int) -> None:
        """Go to the next or the previous record of its kind, of its plugin if it has one."""
        run_opening(self, self._step(direction), group="step", name="step", exclusive=True)

    async def _step(self, direction: int) -> None:
        if await asyncio.to_thread(self._browser.step, direction):
            self.draw()
        else:
            self.head("there is no newer one yet" if direction > 0 else "no earlier one is kept")
