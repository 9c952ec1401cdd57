"""`boxscope replay`: play a recording in the console, or as a stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.progress import Tasks
from engine.core.settings import load_settings
from tui.cli.diagnostics import say, waiting
from tui.cli.printing import Printing, or_printed
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.recording.replay import ReplayEngine


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--speed", type=float, metavar="N", help="So many seconds of it in one.")
@click.option(
    "--from",
    "moment",
    default="",
    metavar="TIME",
    help="Begin there: 14:03:22, +90s from its beginning, -10s before its end, or a date and time.",
)
@or_printed
@workspace_option
def command(
    file: Path,
    workspace: Path | None,
    speed: float | None,
    moment: str,
    kinds: tuple[str, ...],
    printing: Printing | None,
) -> int:
    """Play FILE, written by record or by a --json command; needs no rights.

    In the console at its own pace; headless as fast as it can be read, unless --speed is given.
    """
    from engine.recording.replay import ReplayEngine

    if printing is not None and workspace is not None:
        raise UsageError("a workspace is for the console", fix="leave out --headless")
    opened = open_workspace(workspace)
    loaded = load_settings(workspace=opened.workspace.settings())
    tasks = Tasks()
    with waiting(tasks):
        engine = ReplayEngine(file, tasks=tasks)
    for fault in engine.faults[:3]:
        say(f"{file}: {fault}; skipped")
    try:
        _set(engine, speed, moment)
        if printing is not None:
            return _stream(engine, kinds, printing, paced=speed is not None)
        from tui.cli.console import open_console

        return open_console(engine, loaded, opened)
    finally:
        engine.close()


def _set(engine: ReplayEngine, speed: float | None, moment: str) -> None:
    from engine.recording.moment import parse_moment

    playhead = engine.playhead
    if speed is not None:
        playhead.set_speed(speed)
    if moment:
        playhead.seek(parse_moment(moment, playhead.first_ns, playhead.last_ns))


def _stream(
    engine: ReplayEngine, kinds: tuple[str, ...], printing: Printing, *, paced: bool
) -> int:
    from tui.cli.output import choose_output
    from tui.cli.replay_stream import ReplayRunner
    from tui.cli.stream import StreamOptions

    chosen = kinds or engine.kinds
    options = StreamOptions(
        chosen, printing.seconds, printing.count, filter_text=printing.filter_text
    )
    output = choose_output(printing.as_json, several_kinds=len(chosen) > 1)
    return ReplayRunner(engine, output, options, paced=paced).run()
