"""`boxscope record`: record everything into a file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import FailedError, UsageError
from engine.core.settings import load_settings
from tui.cli.diagnostics import INTERRUPTED, report, say
from tui.cli.events import announcement, asked_subscriptions
from tui.cli.options import bounded, filter_option, json_option, open_port_option
from tui.cli.output import choose_output
from tui.cli.selectors import discovery_config, selectors
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.core.source import SourceStatus
    from engine.live import LiveEngine, Selection

_ENDED = ("off", "failed", "degraded")


@click.command("record")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "-e",
    "--event",
    "events",
    multiple=True,
    metavar="NAME[:CATEGORY]",
    help="Kernel event to subscribe, as with events.",
)
@click.option("--preset", "presets", multiple=True, metavar="NAME", help="The same as -e @NAME.")
@click.option(
    "--subscriptions",
    "files",
    multiple=True,
    metavar="YAML",
    type=click.Path(path_type=Path),
    help="A file with subscriptions.",
)
@open_port_option
@click.option("--exe", default="", metavar="GLOB", help="Only processes with such an executable.")
@selectors
@click.option("--attach", is_flag=True, help="Capture the traffic of the processes found, too.")
@click.option(
    "--pid",
    "pids",
    type=click.IntRange(min=1),
    multiple=True,
    help="Kernel events of this process only, and its traffic.",
)
@click.option("--pcap", type=click.Path(path_type=Path), help="Read the traffic of a capture.")
@click.option("--wasm", type=click.Path(path_type=Path), multiple=True, help="Wasm plugins to ask.")
@click.option(
    "--plugin",
    "plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Plugin process to run meanwhile.",
)
@click.option("--keep", default="", metavar="MINUTES", help="Keep the last so many, or 90s, 2h.")
@click.option("--max-size", default="", metavar="SIZE", help="Let the oldest go beyond 500MB, say.")
@click.option(
    "--redact",
    multiple=True,
    type=click.Choice(["payloads", "arguments"]),
    help="Leave these out of the file.",
)
@filter_option
@bounded
@json_option
def command(
    file: Path,
    events: tuple[str, ...],
    presets: tuple[str, ...],
    files: tuple[Path, ...],
    open_port: str | None,
    exe: str,
    beyla_config: Path | None,
    faithful: bool,
    inherit: bool | None,
    attach: bool,
    pids: tuple[int, ...],
    pcap: Path | None,
    wasm: tuple[Path, ...],
    plugins: tuple[Path, ...],
    keep: str,
    max_size: str,
    redact: tuple[str, ...],
    filter_text: str,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Record into FILE, which must not exist, until interrupted or the time is over.

    What is recorded is chosen as with events, discover, traffic and plugins run. Without a
    choice: processes by port, and the kernel events @story.
    """
    from engine.live import LiveEngine, PluginRequest, Selection
    from engine.probe.filters import Filters
    from engine.recording.options import read_options

    options = read_options(keep, max_size, redact, filter_text)
    loaded = load_settings({"open_port": open_port})
    by_event = bool(events or presets or files)
    by_port = attach or open_port is not None or bool(exe or beyla_config)
    nothing = not (by_event or by_port or pids or pcap or plugins)
    live = attach or bool(pids)
    if wasm and not live and pcap is None:
        raise UsageError("Wasm plugins for the traffic of what?", fix="--attach, --pid or --pcap")
    asked = asked_subscriptions(events, presets, files, faithful=faithful)
    subscriptions, suppressed = asked if by_event or nothing else ((), frozenset())
    filters = Filters(tgids=frozenset(pids), excluded_comms=suppressed)
    filters.check()
    selection = Selection(
        agent=bool(plugins),
        plugins=tuple(PluginRequest(path) for path in plugins),
        discovery=by_port or nothing or live,
        beyla=discovery_config(loaded, exe, beyla_config, faithful, inherit),
        probe=by_event or nothing or live,
        subscriptions=subscriptions,
        filters=filters,
        live=live,
        attach=attach,
        attach_pids=pids,
        capture=pcap,
        wasm=wasm,
        strict=True,
    )
    engine = LiveEngine(selection, loaded.values)
    engine.start_recording(file, options)
    vital = [*(["probe"] if by_event or live else []), *(["traffic"] if pcap else []), "recording"]
    run = _Recording(engine, file, selection, count)
    stream = StreamOptions(
        (), seconds, done=run.over, ready=run.ready, announce=lambda: run.announcement(faithful)
    )
    return run.outcome(StreamRunner(engine, choose_output(as_json), stream).run_or_fail(*vital))


class _Recording:
    """One recording made from the command line."""

    def __init__(
        self, engine: LiveEngine, file: Path, selection: Selection, count: int | None
    ) -> None:
        self._engine = engine
        self._file = file
        self._selection = selection
        self._count = count

    def ready(self) -> bool:
        """Whether every source has begun."""
        return all(each.state != "starting" for each in self._engine.snapshot().sources.values())

    def announcement(self, faithful: bool) -> Iterable[str]:
        """What is recorded, once it can be known."""
        if self._selection.subscriptions and self._state("probe") != "failed":
            yield from announcement(self._engine, self._selection.subscriptions, faithful=faithful)
        for name, status in self._engine.snapshot().sources.items():
            if status.state in ("failed", "degraded"):
                yield f"{name}: {status.reason}"
        yield f"recording to {self._file}"

    def over(self) -> bool:
        """Whether there is enough, or nothing more to come."""
        sources = self._engine.snapshot().sources
        if self._count is not None and _chosen(sources["recording"]) >= self._count:
            return True
        only_capture = self._selection.capture is not None and not (
            self._selection.probe or self._selection.discovery or self._selection.agent
        )
        return only_capture and sources["traffic"].state in _ENDED

    def outcome(self, code: int) -> int:
        """Say what is in the file; 1 where some of it could not be written."""
        status = self._engine.snapshot().sources["recording"]
        if status.state == "failed" and code in (0, INTERRUPTED):
            code = report(FailedError(status.reason, fix="what was written before can be replayed"))
        kept, size = status.counters.kept, _size(self._file)
        say(f"{self._file}: {kept} records, {size / 1e6:.1f} MB; boxscope replay {self._file}")
        return code

    def _state(self, source: str) -> str:
        return self._engine.snapshot().sources[source].state


def _chosen(status: SourceStatus) -> int:
    """Events, messages and records in the file; the states around them do not count."""
    from engine.recording.options import FILTERED

    return sum(status.stages[kind].kept for kind in FILTERED if kind in status.stages)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
