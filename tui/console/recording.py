"""What one can have done about recordings from the console: begin, end, write out the memory."""

from __future__ import annotations

import asyncio
from datetime import datetime

from engine.core.snapshot import RecordingFacts
from tui.console import screens
from tui.console.commanding import Commands
from tui.console.format import count, size
from tui.console.keymap import with_keys


class RecordingCommands(Commands):
    """Carries the wishes out; each waits for dialogs, so it is for a worker."""

    async def toggle(self) -> None:
        """End the recording, or ask for one and begin it.

        Raises:
            RecordingError: the last of it could not be written.
        """
        if self._engine.snapshot().recording is not None:
            await self._stop()
            return
        dialog = screens.RecordingDialog(self._name(""), self._engine.start_recording)
        path = await self._app.push_screen_wait(dialog)
        if path is not None:
            self._report(f"recording to {path}; {with_keys(self._app, '{record}')} ends it")

    async def dump(self) -> None:
        """Ask for a file and write what the engine remembers into it."""
        dialog = screens.DumpDialog(self._name("-memory"), self._engine.dump_recording)
        facts = await self._app.push_screen_wait(dialog)
        if facts is not None:
            self._report(_written(facts))

    async def _stop(self) -> None:
        try:
            facts = await asyncio.to_thread(self._engine.stop_recording)
        finally:
            self._changed()
        if facts is not None:
            self._report(_written(facts))

    def _name(self, what: str) -> str:
        """A name that says where and when."""
        host = "".join(
            letter
            for letter in self._engine.snapshot().host.hostname
            if letter.isascii() and (letter.isalnum() or letter in "-_")
        )
        return f"boxscope-{host or 'box'}{what}-{datetime.now():%Y%m%d-%H%M%S}.db"


def _written(facts: RecordingFacts) -> str:
    return f"{facts.path}: {count(facts.records)} records, {size(facts.bytes)}"
