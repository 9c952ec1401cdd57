"""`boxscope demo`: everything alive at once, on screen or as a stream."""

from __future__ import annotations

from pathlib import Path

import click

from engine.core.errors import UsageError
from engine.core.settings import load_settings
from tui.cli.export_options import exporting
from tui.cli.options import open_port_option
from tui.cli.output import choose_output
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner
from tui.cli.workspace import open_workspace, workspace_option

FOR_PEOPLE = (
    "plugin_state",
    "module_event",
    "process",
    "kernel_event",
    "l7_message",
    "wasm_plugin",
    "log",
)
FOR_PROGRAMS = (*FOR_PEOPLE, "plugin_record", "subscription", "wasm_result", "stats")
"""Kinds of a stream of everything that is alive."""


@click.command("demo")
@click.option("--headless", is_flag=True, help="A stream of records instead of the console.")
@open_port_option
@exporting
@printed
@workspace_option
def command(
    headless: bool,
    open_port: str | None,
    workspace: Path | None,
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """Demo plugins, services with visitors and their traffic, kernel events and a Wasm plugin."""
    from engine.demo import DemoEngine

    if headless and workspace is not None:
        raise UsageError("a workspace is for the console", fix="leave out --headless")
    opened = open_workspace(workspace, open_port=open_port)
    asked = opened.workspace
    loaded = load_settings({"open_port": open_port, **otlp}, workspace=asked.settings())
    engine = DemoEngine(loaded.values, subscriptions=asked.pairs(), exe=asked.exe)
    if not headless:
        from tui.cli.console import open_console

        return open_console(engine, loaded, opened)
    kinds = FOR_PROGRAMS if printing.as_json else FOR_PEOPLE
    options = StreamOptions(
        kinds,
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        header=printing.as_json,
    )
    return StreamRunner(engine, choose_output(printing.as_json, several_kinds=True), options).run()
