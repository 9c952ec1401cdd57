"""`boxscope console`: the console on this box."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.settings import LoadedSettings, load_settings
from engine.engine import Engine
from tui.cli.export_options import exporting
from tui.cli.options import open_port_option
from tui.cli.selectors import discovery_config, selectors
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.workspace import OpenedWorkspace


def open_console(engine: Engine, loaded: LoadedSettings, workspace: OpenedWorkspace) -> int:
    """Run the console on an engine; refuses without a terminal.

    Raises:
        UsageError: stdin or stdout is not a terminal, or a key or the theme cannot be.
    """
    require_terminal()
    from tui.console.options import console_options
    from tui.console.run import run_console

    if isinstance(sys.stderr, io.TextIOWrapper):
        # The frames and bars it draws are in no older encoding, whatever the locale names.
        sys.stderr.reconfigure(encoding="utf-8", errors=sys.stderr.errors)
    return run_console(engine, console_options(loaded, workspace))


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
@workspace_option
def command(
    open_port: str | None,
    beyla_config: Path | None,
    faithful: bool,
    inherit: bool | None,
    workspace: Path | None,
    otlp: dict[str, object],
) -> int:
    """Watch this box in four panes."""
    require_terminal()
    from engine.live import LiveEngine
    from engine.selection import Selection

    opened = open_workspace(workspace, open_port=open_port, beyla_config=beyla_config)
    asked = opened.workspace
    loaded = load_settings({"open_port": open_port, **otlp}, workspace=asked.settings())
    config = discovery_config(loaded, asked.exe, asked.beyla_config, faithful, inherit)
    selection = Selection(
        agent=True,
        modules=(),
        discovery=True,
        probe=True,
        subscriptions=asked.pairs(),
        live=True,
        beyla=config,
    )
    return open_console(LiveEngine(selection, loaded.values), loaded, opened)
