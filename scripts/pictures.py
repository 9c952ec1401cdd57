"""Take the README's pictures from the running program: the demo, live on this box.

Writes docs/pictures/console.svg. Needs root for the kernel events to be in it.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from engine.core.settings import Settings
from engine.demo import DemoEngine
from tui.console.app import ConsoleApp

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SIZE = (150, 42)
ALIVE = ("plugin_record", "process", "kernel_event", "l7_message", "wasm_result")
WATCH_S = 12.0
"""Long enough for the sparklines to have a shape."""


async def take() -> None:
    """Run the console until every pane has had something to show, then photograph it."""
    app = ConsoleApp(DemoEngine(Settings.model_validate({})))
    begun = time.monotonic()
    async with app.run_test(size=SIZE) as pilot:
        while time.monotonic() - begun < WATCH_S or not all(map(app.engine.last_seq, ALIVE)):
            await pilot.pause(0.2)
            if time.monotonic() - begun > 4 * WATCH_S:
                silent = [kind for kind in ALIVE if not app.engine.last_seq(kind)]
                raise SystemExit(f"no picture: nothing came of {', '.join(silent)}")
        PICTURES.mkdir(parents=True, exist_ok=True)
        app.save_screenshot("console.svg", path=str(PICTURES))


if __name__ == "__main__":
    asyncio.run(take())
