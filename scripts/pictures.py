"""Take the README's pictures from the running program: the demo, live on this box.

Writes docs/pictures/console.svg and, at the sizes of smaller terminals, console-120x40.svg and
console-80x24.svg. Needs root for the kernel events to be in them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from engine.core.settings import Settings
from engine.demo import DemoEngine
from tui.console.app import ConsoleApp

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SIZE = (150, 42)
SMALLER = ((120, 40), (80, 24))
ALIVE = ("plugin_record", "process", "kernel_event", "l7_message", "wasm_result")
WATCH_S = 12.0
"""Long enough for the sparklines to have a shape."""


async def take() -> None:
    """Run the console until every pane has had something to show, then photograph it."""
    app = ConsoleApp(DemoEngine(Settings.model_validate({})))
    begun = time.monotonic()
    async with app.run_test(size=SIZE) as pilot:
        await wait(pilot, lambda: not silent(app) and time.monotonic() - begun > WATCH_S)
        photograph(app, "console")
        for width, height in SMALLER:
            await pilot.resize_terminal(width, height)
            if width < 100:
                await pilot.press("4")
            await wait(pilot, lambda: app.main.active.virtual_size.width <= app.size.width)
            await pilot.pause(1.0)
            photograph(app, f"console-{width}x{height}")


def silent(app: ConsoleApp) -> list[str]:
    """The kinds of which nothing has come yet."""
    return [kind for kind in ALIVE if not app.engine.last_seq(kind)]


async def wait(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Let the console run until something holds."""
    app, end = pilot.app, time.monotonic() + 4 * WATCH_S
    while not condition():
        await pilot.pause(0.2)
        if time.monotonic() > end and isinstance(app, ConsoleApp):
            raise SystemExit(f"no picture: nothing came of {', '.join(silent(app)) or 'it'}")


def photograph(app: ConsoleApp, name: str) -> None:
    """Write what is on the screen."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    app.save_screenshot(f"{name}.svg", path=str(PICTURES))


if __name__ == "__main__":
    asyncio.run(take())
