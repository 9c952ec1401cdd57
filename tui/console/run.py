"""Running the console on a terminal, and leaving that terminal as it was found."""

from __future__ import annotations

import asyncio
import sys
from contextlib import nullcontext

from engine.engine import Engine
from tui.collector import rare_collections
from tui.console.app import ConsoleApp
from tui.console.departure import Departure
from tui.console.options import ConsoleOptions


def run_console(engine: Engine, options: ConsoleOptions | None = None) -> int:
    """Show the console until the user quits or a signal ends it; the engine is stopped then.

    Args:
        engine: What is shown; started here.
        options: Keys, colours and what is opened; none for the usual ones.

    Returns:
        The exit code: 0 after quitting, 130 after a signal, 1 if the console itself failed,
        whose trace is then on the terminal.
    """
    app = ConsoleApp(engine, options)
    with rare_collections():
        try:
            asyncio.run(_run(app))
        finally:
            app.stop_engine()
    return app.return_code or 0


async def _run(app: ConsoleApp) -> None:
    terminal = sys.__stdin__
    with Departure(app, terminal.fileno()) if terminal else nullcontext():
        await app.run_async()
