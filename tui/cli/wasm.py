"""`boxscope wasm`: run DeepFlow Wasm plugins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.settings import load_settings
from engine.core.snapshot import Snapshot
from tui.cli.inspection_text import inspection_lines
from tui.cli.options import json_option, reading
from tui.cli.output import ColumnOutput, JsonOutput, write_lines
from tui.cli.payloads import payload_options
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.traffic.inputs import SavedPayload


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
@click.option("--pcap", type=click.Path(path_type=Path), help="Capture to take traffic from.")
@payload_options
@reading
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
@printed
def run_wasm(
    files: tuple[Path, ...],
    pcap: Path | None,
    payload: SavedPayload | None,
    reading: dict[str, object],
    lenient: bool,
    faithful: bool,
    measure: bool,
    watch: bool,
    printing: Printing,
) -> int:
    """Run the plugins FILES, in this order, on a capture or on one payload."""
    from engine.live import LiveEngine
    from engine.selection import Selection, WasmMode

    if (pcap is None) == (payload is None):
        raise UsageError("run on what?", fix="give --pcap, --payload or --hex")
    asked: dict[WasmMode, bool] = {"faithful": faithful, "measure": measure, "watch": watch}
    mode = frozenset(name for name, wanted in asked.items() if wanted)
    settings = load_settings({**reading, "wasm_strict": False if lenient else None}).values
    engine = LiveEngine(
        Selection(capture=pcap, payload=payload, wasm=files, wasm_mode=mode, strict=True), settings
    )

    def finished() -> bool:
        state = engine.snapshot().sources["traffic"].state
        return not watch and state in ("off", "failed", "degraded")

    kinds = ("l7_message", "wasm_result", "wasm_plugin")
    options = StreamOptions(
        kinds,
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        done=finished,
        conclude=lambda: _refusals(engine.snapshot()),
    )
    output = JsonOutput() if printing.as_json else _ComparingOutput(several_kinds=True)
    return StreamRunner(engine, output, options).run_or_fail("traffic", "wasm")


class _ComparingOutput(ColumnOutput):
    """Columns, and under a call that repeats another what it did differently."""

    def record(self, record: Record) -> None:
        """Print a record."""
        super().record(record)
        if record.kind == "wasm_result" and record.get("rerun_of") is not None:
            write_lines(_comparison(record))


def _comparison(record: Record) -> Iterator[str]:
    yield f"  call {record.get('rerun_of')} again, as call {record.seq}:"
    differences = record.get("differs")
    if not isinstance(differences, Sequence) or not differences:
        yield "    nothing is different"
        return
    for each in differences:
        if isinstance(each, Mapping):
            yield f"    {each['field']}: {_shown(each['before'])} -> {_shown(each['after'])}"


def _shown(value: JsonValue) -> str:
    return "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)


def _refusals(snapshot: Snapshot) -> Iterator[str]:
    """A line for each plugin that ran here and would not in an agent."""
    for row in snapshot.tables.get("wasm_plugin", ()):
        refusals = row.get("refusals")
        if isinstance(refusals, list) and refusals:
            others = f", and {len(refusals) - 1} more" if len(refusals) > 1 else ""
            name = row.get("plugin")
            yield f"Wasm plugin {name}: an agent would refuse it: {refusals[0]}{others}"
