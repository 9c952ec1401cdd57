"""`boxscope console`: the console on this box."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from engine.core.errors import UsageError
from engine.core.settings import load_settings
from engine.engine import Engine
from tui.cli.export_options import exporting
from tui.cli.options import open_port_option
from tui.cli.selectors import discovery_config, selectors


def open_console(engine: Engine) -> int:
    """Run the console on an engine; refuses without a terminal.

    Raises:
        UsageError: stdin or stdout is not a terminal.
    """
    require_terminal()
    from tui.console.run import run_console

    return run_console(engine)


def require_terminal() -> None:
    """Refuse to draw where nobody can see it.

    Raises:
        UsageError: stdin, stdout or stderr (the screen is drawn there) is not a terminal.
    """
    if sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty():
        return
    raise UsageError(
        "the console needs a terminal",
        fix="without one use: boxscope demo --headless, events, discover, plugins run, wasm run",
    )


@click.command("console")
@open_port_option
@selectors
@exporting
def command(
    open_port: str | None,
    beyla_config: Path | None,
    faithful: bool,
    inherit: bool | None,
    otlp: dict[str, object],
) -> int:
    """Watch this box in four panes."""
    require_terminal()
    from engine.live import LiveEngine, Selection

    loaded = load_settings({"open_port": open_port, **otlp})
    config = discovery_config(loaded, "", beyla_config, faithful, inherit)
    selection = Selection(
        agent=True, modules=(), discovery=True, probe=True, live=True, beyla=config
    )
    return open_console(LiveEngine(selection, loaded.values))
