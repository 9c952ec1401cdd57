"""`boxscope replay`: play a recording in the console, or as a stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.kinds import KINDS
from engine.core.progress import Tasks
from engine.core.settings import load_settings
from tui.cli.diagnostics import say, waiting
from tui.cli.options import bounded, filter_option, json_option
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.recording.replay import ReplayEngine


@click.command("replay")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--headless", is_flag=True, help="A stream of records instead of the console.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    type=click.Choice([*KINDS]),
    metavar="KIND",
    help="With --headless: only records of this kind, such as kernel_event.",
)
@click.option("--speed", type=float, metavar="N", help="So many seconds of it in one.")
@click.option(
    "--from",
    "moment",
    default="",
    metavar="TIME",
    help="Begin there: 14:03:22, +90s from its beginning, -10s before its end, or a date and time.",
)
@filter_option
@bounded
@json_option
@workspace_option
def command(
    file: Path,
    workspace: Path | None,
    headless: bool,
    kinds: tuple[str, ...],
    speed: float | None,
    moment: str,
    filter_text: str,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Play FILE, written by record or by a --json command; needs no rights.

    In the console at its own pace; headless as fast as it can be read, unless --speed is given.
    """
    from engine.recording.replay import ReplayEngine

    streamed = kinds or filter_text or seconds is not None or count is not None or as_json
    if streamed and not headless:
        raise UsageError(
            "--kind, --filter, --for, --count and --json are for a stream", fix="add --headless"
        )
    if headless and workspace is not None:
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
        if headless:
            return _stream(engine, kinds, speed, filter_text, seconds, count, as_json)
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
    engine: ReplayEngine,
    kinds: tuple[str, ...],
    speed: float | None,
    filter_text: str,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    from tui.cli.output import choose_output
    from tui.cli.replay_stream import ReplayRunner
    from tui.cli.stream import StreamOptions

    chosen = kinds or engine.kinds
    options = StreamOptions(chosen, seconds, count, filter_text=filter_text)
    output = choose_output(as_json, several_kinds=len(chosen) > 1)
    return ReplayRunner(engine, output, options, paced=speed is not None).run()
