"""`boxscope wasm`: run DeepFlow Wasm plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from engine.core.settings import load_settings
from engine.core.snapshot import Snapshot
from tui.cli.inspection_text import inspection_lines
from tui.cli.options import bounded, filter_option, json_option
from tui.cli.output import JsonOutput, choose_output, write_lines
from tui.cli.stream import StreamOptions, StreamRunner


@click.group("wasm")
def command() -> None:
    """Run DeepFlow Wasm plugins and see what they make of the traffic."""


@command.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def inspect_wasm(file: Path, as_json: bool) -> int:
    """Tell whether an agent would load FILE, what is in it, and what will trouble it."""
    from engine.wasm.inspection import inspect

    found = inspect(file, load_settings().values.wasm_deadline_ms)
    if as_json:
        output = JsonOutput()
        output.object({"kind": "wasm_inspection", **found.as_json()})
        output.flush()
    else:
        write_lines(inspection_lines(found))
    return 0 if found.loads else 1


@command.command("run")
@click.argument("files", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--pcap", type=click.Path(path_type=Path), required=True, help="Capture to take traffic from."
)
@click.option(
    "--lenient", is_flag=True, help="Load plugins an agent refuses for their imports from WASI."
)
@click.option(
    "--faithful",
    is_flag=True,
    help="As an agent: refuse what old SDKs built, keep a trapped instance.",
)
@click.option("--measure", is_flag=True, help="Count the instructions of every call.")
@click.option(
    "--watch", is_flag=True, help="Go on, and load a plugin again when its file has changed."
)
@filter_option
@bounded
@json_option
def run_wasm(
    files: tuple[Path, ...],
    pcap: Path,
    lenient: bool,
    faithful: bool,
    measure: bool,
    watch: bool,
    filter_text: str,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Run the plugins FILES, in this order, on a capture."""
    from engine.live import LiveEngine, Selection, WasmMode

    asked: dict[WasmMode, bool] = {
        "lenient": lenient,
        "faithful": faithful,
        "measure": measure,
        "watch": watch,
    }
    mode = frozenset(name for name, wanted in asked.items() if wanted)
    selection = Selection(capture=pcap, wasm=files, wasm_mode=mode, strict=True)
    engine = LiveEngine(selection, load_settings().values)

    def finished() -> bool:
        state = engine.snapshot().sources["traffic"].state
        return not watch and state in ("off", "failed", "degraded")

    kinds = ("l7_message", "wasm_result", "wasm_plugin")
    options = StreamOptions(
        kinds,
        seconds,
        count,
        filter_text=filter_text,
        done=finished,
        conclude=lambda: _refusals(engine.snapshot()),
    )
    return StreamRunner(engine, choose_output(as_json, several_kinds=True), options).run_or_fail(
        "traffic", "wasm"
    )


def _refusals(snapshot: Snapshot) -> Iterator[str]:
    """A line for each plugin that ran here and would not in an agent."""
    for row in snapshot.tables.get("wasm_plugin", ()):
        refusals = row.get("refusals")
        if isinstance(refusals, list) and refusals:
            others = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
            name = row.get("plugin")
            yield f"Wasm plugin {name}: an agent would refuse it: {refusals[0]}{others}"
