"""Running the console on a terminal, and leaving that terminal as it was found."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from engine.engine import Engine
from tui.console.app import ConsoleApp
from tui.console.departure import Departure

_RARE_COLLECTIONS = (20_000, 10, 50)


def run_console(engine: Engine) -> int:
    """Show the console until the user quits or a signal ends it; the engine is stopped then.

    Returns:
        The exit code: 0 after quitting, 130 after a signal, 1 if the console itself failed,
        whose trace is then on the terminal.
    """
    app = ConsoleApp(engine)
    with _rare_collections():
        try:
            asyncio.run(_run(app))
        finally:
            app.stop_engine()
    return app.return_code or 0


async def _run(app: ConsoleApp) -> None:
    terminal = sys.__stdin__
    with Departure(app, terminal.fileno()) if terminal else nullcontext():
        await app.run_async()


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Keep the garbage collector out of the way of the keyboard.

    A full collection walks everything imported and every record kept, for 100 ms and more, in
    which no key is answered; at the end of the process it would hold up the shell as long.
    Records hold no cycles, so full collections can be rare.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_RARE_COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()
