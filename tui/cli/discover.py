"""`boxscope discover`: list processes by port."""

from __future__ import annotations

import click

from engine.core.settings import load_settings
from tui.cli.options import bounded, json_option, open_port_option
from tui.cli.output import choose_output
from tui.cli.stream import StreamOptions, StreamRunner


@click.command("discover")
@open_port_option
@click.option("--exe", default="", metavar="GLOB", help="Only executables like this.")
@click.option("--once/--watch", "once", default=True, help="One scan, or every change from now on.")
@bounded
@json_option
def command(
    open_port: str | None,
    exe: str,
    once: bool,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """List the processes that own a port, each with the condition that matched."""
    from engine.live import LiveEngine, Selection

    settings = load_settings({"open_port": open_port}).values
    engine = LiveEngine(Selection(discovery=True, exe=exe), settings)

    def scanned() -> bool:
        return engine.snapshot().sources["discovery"].state != "starting"

    options = StreamOptions(("process",), seconds, count, done=scanned if once else lambda: False)
    return StreamRunner(engine, choose_output(as_json), options).run_or_fail("discovery")
