"""`boxscope traffic`: application messages of processes, or of a capture."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.settings import load_settings
from tui.cli.export_options import exporting
from tui.cli.options import open_port_option, reading
from tui.cli.output import choose_output
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.live import LiveEngine

_ENDED = ("off", "failed", "degraded")
"""States of a capture that has been read."""


@click.command("traffic")
@open_port_option
@click.option("--exe", default="", metavar="GLOB", help="Only processes with such an executable.")
@click.option("--attach", is_flag=True, help="Capture every process that owns a port.")
@click.option("--pid", "pids", type=click.IntRange(min=1), multiple=True, help="Capture these.")
@click.option("--pcap", type=click.Path(path_type=Path), help="Read a capture instead.")
@click.option("--wasm", type=click.Path(path_type=Path), multiple=True, help="Wasm plugins to ask.")
@reading
@exporting
@printed
def command(
    open_port: str | None,
    exe: str,
    attach: bool,
    pids: tuple[int, ...],
    pcap: Path | None,
    wasm: tuple[Path, ...],
    reading: dict[str, object],
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """Show requests and responses with status, latency and the processes at both ends.

    Of processes chosen by --open-port, --exe, --attach or --pid, or of a capture.
    """
    from engine.live import LiveEngine
    from engine.selection import Selection

    by_discovery = attach or open_port is not None or bool(exe)
    if bool(pcap) == (by_discovery or bool(pids)):
        raise UsageError(
            "traffic of what?",
            fix="give --open-port, --pid or --attach for processes, or --pcap for a capture",
        )
    live = pcap is None
    selection = Selection(
        discovery=live,
        exe=exe,
        probe=live,
        live=live,
        attach=by_discovery,
        attach_pids=pids,
        capture=pcap,
        wasm=wasm,
        strict=True,
    )
    settings = load_settings({"open_port": open_port, **reading, **otlp})
    return _run(LiveEngine(selection, settings.values), printing, live=live)


def _run(engine: LiveEngine, printing: Printing, *, live: bool) -> int:
    """Print the messages of processes, or of a capture."""
    ended = ("failed",) if live else _ENDED
    kinds = ("l7_message", "wasm_result") if printing.as_json else ("l7_message",)
    stream = StreamOptions(
        kinds,
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        done=lambda: _state(engine, "probe" if live else "traffic") in ended,
        ready=lambda: not live or _listening(engine),
        announce=lambda: _attached(engine) if live else (),
        tables=("capture_state",) if live else (),
        log_of="discovery" if live else "",
    )
    vital = ("probe", "traffic") if live else ("traffic",)
    output = choose_output(printing.as_json, several_kinds=len(kinds) > 1)
    return StreamRunner(engine, output, stream).run_or_fail(*vital)


def _state(engine: LiveEngine, source: str) -> str:
    return engine.snapshot().sources[source].state


def _listening(engine: LiveEngine) -> bool:
    """Whether what is sent from now on is seen, or nothing ever will be."""
    sources = engine.snapshot().sources
    if any(sources[name].state in ("off", "starting") for name in ("probe", "discovery")):
        return False
    return sources["probe"].state == "failed" or engine.capturing


def _attached(engine: LiveEngine) -> Iterable[str]:
    pids = sorted(engine.attached)
    shown = ", ".join(str(pid) for pid in pids) or "no process yet"
    return (f"listening to {shown}",)
