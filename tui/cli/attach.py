"""`boxscope attach`: the console, or a stream, on an engine that runs in another process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import AttachError, UsageError
from engine.core.settings import load_settings
from tui.cli.printing import Printing, or_printed
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.remote.remote import RemoteEngine


@click.command("attach")
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where the engine listens. Default: that of this user, else that of root.",
)
@click.option(
    "--read-only", is_flag=True, help="Have the engine refuse all that changes something."
)
@or_printed
@workspace_option
def command(
    path: Path | None,
    read_only: bool,
    kinds: tuple[str, ...],
    printing: Printing | None,
    workspace: Path | None,
) -> int:
    """Look at an engine that boxscope engine has started; it goes on when this ends.

    Of a workspace the theme, the pane and the filters count; what runs is the engine's own.
    """
    from engine.remote.address import find_address
    from engine.remote.hello import Hello
    from engine.remote.remote import RemoteEngine

    if printing is not None and workspace is not None:
        raise UsageError("a workspace is for the console", fix="leave out --headless")
    opened = open_workspace(workspace)
    path = path or find_address()
    if printing is not None:
        return _stream(path, read_only, kinds, printing)
    from tui.cli.console import open_console, require_terminal

    require_terminal()
    loaded = load_settings(workspace=opened.workspace.settings())
    engine = RemoteEngine(path, Hello(read_only=read_only))
    engine.start()
    try:
        return open_console(engine, loaded, opened)
    finally:
        engine.stop()


def _stream(path: Path, read_only: bool, kinds: tuple[str, ...], printing: Printing) -> int:
    from engine.remote.hello import Hello
    from engine.remote.remote import RemoteEngine
    from tui.cli.demo import FOR_PEOPLE, FOR_PROGRAMS
    from tui.cli.output import choose_output
    from tui.cli.stream import StreamOptions, StreamRunner

    chosen = kinds or (FOR_PROGRAMS if printing.as_json else FOR_PEOPLE)
    engine = RemoteEngine(path, Hello(read_only=read_only, every=True, kinds=chosen, backlog=0))
    options = StreamOptions(
        chosen,
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        header=printing.as_json,
        done=lambda: bool(engine.lost),
        conclude=lambda: _caught_up(engine),
    )
    output = choose_output(printing.as_json, several_kinds=len(chosen) > 1)
    runner = StreamRunner(engine, output, options)
    engine.start()
    return runner.run_or_fail("attach")


def _caught_up(engine: RemoteEngine) -> Iterable[str]:
    """Have all there is told, so that the counters are those of what was printed."""
    with suppress(AttachError):  # the counters' line tells that it is lost
        engine.sync()
    return ()
