"""`boxscope replay`: play a recorded stream."""

from __future__ import annotations

from pathlib import Path

import click

from tui.cli.diagnostics import say


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
def command(file: Path) -> int:
    """Play FILE, written by a --json command, in the console; needs no rights."""
    from engine.recording.replay import ReplayEngine
    from tui.cli.console import open_console

    engine = ReplayEngine(file)
    for fault in engine.faults[:3]:
        say(f"{file}: {fault}; skipped")
    return open_console(engine)
