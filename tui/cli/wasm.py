"""`boxscope wasm`: run DeepFlow Wasm plugins."""

from __future__ import annotations

from pathlib import Path

import click

from engine.core.settings import load_settings
from tui.cli.options import json_option
from tui.cli.output import choose_output
from tui.cli.stream import StreamOptions, StreamRunner


@click.group("wasm")
def command() -> None:
    """Run DeepFlow Wasm plugins and see what they make of the traffic."""


@command.command("run")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--pcap", type=click.Path(path_type=Path), required=True, help="Capture to take traffic from."
)
@json_option
def run_wasm(files: tuple[Path, ...], pcap: Path, as_json: bool) -> int:
    """Run the plugins FILES, in this order, on a capture."""
    from engine.live import LiveEngine, Selection

    engine = LiveEngine(Selection(capture=pcap, wasm=files, strict=True), load_settings().values)

    def finished() -> bool:
        return engine.snapshot().sources["traffic"].state in ("off", "failed", "degraded")

    options = StreamOptions(("l7_message", "wasm_result", "wasm_plugin"), done=finished)
    return StreamRunner(engine, choose_output(as_json, several_kinds=True), options).run_or_fail(
        "traffic", "wasm"
    )
