"""`boxscope record`: record everything into a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import BoxscopeError, FailedError, UsageError
from engine.core.settings import load_settings
from tui.cli.diagnostics import INTERRUPTED, report, say
from tui.cli.events import Subscriptions, announcement
from tui.cli.export_options import exporting
from tui.cli.output import choose_output
from tui.cli.printing import Printing, printed
from tui.cli.selectors import SourceChoice, source_options
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.core.source import SourceStatus
    from engine.discovery.config import DiscoveryConfig
    from engine.live import LiveEngine
    from engine.selection import Selection

_ENDED = ("off", "failed", "degraded")
_TAKING = ("wasm", "recording", "otlp")
"""Sources that only take what the others send."""


@click.command("record")
@click.argument("file", type=click.Path(path_type=Path))
@source_options
@click.option("--keep", default="", metavar="MINUTES", help="Keep the last so many, or 90s, 2h.")
@click.option("--max-size", default="", metavar="SIZE", help="Let the oldest go beyond 500MB, say.")
@click.option(
    "--redact",
    multiple=True,
    type=click.Choice(["payloads", "arguments"]),
    help="Leave these out of the file.",
)
@exporting
@printed
def command(
    file: Path,
    choice: SourceChoice,
    keep: str,
    max_size: str,
    redact: tuple[str, ...],
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """Record into FILE, which must not exist, until interrupted or the time is over.

    What is recorded is chosen as with events, discover, traffic and plugins run. Without a
    choice: processes by port, and the kernel events @story.
    """
    from engine.live import LiveEngine
    from engine.recording.options import read_options

    options = read_options(keep, max_size, redact, printing.filter_text)
    loaded = load_settings({"open_port": choice.open_port, **otlp})
    wanted = _Wanted(choice)
    selection = wanted.selection(choice.asked_subscriptions(), choice.discovery_config(loaded))
    engine = LiveEngine(selection, loaded.values)
    engine.start_recording(file, options)
    run = _Recording(engine, file, wanted.vital, printing.count)
    stream = StreamOptions(
        (),
        printing.seconds,
        done=run.over,
        ready=run.ready,
        announce=lambda: run.announcement(selection.subscriptions, choice.faithful),
    )
    return run.outcome(StreamRunner(engine, choose_output(printing.as_json), stream))


@dataclass(frozen=True)
class _Wanted:
    """What a choice means for a recording."""

    choice: SourceChoice

    @property
    def nothing(self) -> bool:
        """Whether nothing was chosen, which means the default."""
        choice = self.choice
        return not (
            choice.by_event or choice.by_port or choice.pids or choice.pcap or choice.plugins
        )

    @property
    def vital(self) -> tuple[str, ...]:
        """Sources without which the recording is not what was asked for."""
        probe = ("probe",) if self.choice.by_event or self.choice.live else ()
        return (*probe, *(("traffic",) if self.choice.pcap else ()), "recording")

    def selection(
        self, asked: tuple[Subscriptions, frozenset[str]], config: DiscoveryConfig
    ) -> Selection:
        """The sources that deliver it.

        Raises:
            UsageError: some of it means nothing.
        """
        from engine.probe.filters import Filters
        from engine.selection import PluginRequest, Selection

        choice = self.choice
        if choice.wasm and not choice.live and choice.pcap is None:
            raise UsageError(
                "Wasm plugins for the traffic of what?", fix="--attach, --pid or --pcap"
            )
        by_event = choice.by_event or self.nothing
        subscriptions, suppressed = asked if by_event else ((), frozenset[str]())
        filters = Filters(tgids=frozenset(choice.pids), excluded_comms=suppressed)
        filters.check()
        return Selection(
            agent=bool(choice.plugins),
            plugins=tuple(PluginRequest(path) for path in choice.plugins),
            discovery=choice.by_port or self.nothing or choice.live,
            beyla=config,
            probe=by_event or choice.live,
            subscriptions=subscriptions,
            filters=filters,
            live=choice.live,
            attach=choice.attach,
            attach_pids=choice.pids,
            capture=choice.pcap,
            wasm=choice.wasm,
            strict=True,
        )


class _Recording:
    """One recording made from the command line.

    Args:
        engine: Records already.
        file: Into which file.
        vital: Sources without which it is over.
        count: After how many events, messages and records it is over.
    """

    def __init__(
        self, engine: LiveEngine, file: Path, vital: tuple[str, ...], count: int | None
    ) -> None:
        self._engine = engine
        self._file = file
        self._vital = vital
        self._count = count

    def ready(self) -> bool:
        """Whether every source has begun."""
        return all(each.state != "starting" for each in self._engine.snapshot().sources.values())

    def announcement(self, subscriptions: Subscriptions, faithful: bool) -> Iterable[str]:
        """What is recorded, once it can be known."""
        sources = self._engine.snapshot().sources
        if subscriptions and sources["probe"].state != "failed":
            yield from announcement(self._engine, subscriptions, faithful=faithful)
        for name, status in sources.items():
            if status.state in ("failed", "degraded"):
                yield f"{name}: {status.reason}"
        yield f"recording to {self._file}"

    def over(self) -> bool:
        """Whether there is enough, or nothing more to come."""
        sources = self._engine.snapshot().sources
        if any(sources[name].state == "failed" for name in self._vital):
            return True
        if self._count is not None and _chosen(sources["recording"]) >= self._count:
            return True
        sending = [each for each in sources.values() if each.name not in _TAKING]
        return all(each.name == "traffic" and each.state in _ENDED for each in sending)

    def outcome(self, runner: StreamRunner) -> int:
        """Run it and say what is in the file; a file for which nothing could run does not stay."""
        try:
            code = runner.run_or_fail(*self._vital)
        except BoxscopeError:
            self._file.unlink(missing_ok=True)
            raise
        status = self._engine.snapshot().sources["recording"]
        if status.state == "failed":
            return code or report(FailedError(status.reason, fix="the rest of it can be replayed"))
        if code not in (0, INTERRUPTED) and not _chosen(status):
            self._file.unlink(missing_ok=True)
            return code
        size = self._file.stat().st_size / 1e6
        say(f"{status.counters.kept} records, {size:.1f} MB: boxscope replay {self._file}")
        return code


def _chosen(status: SourceStatus) -> int:
    """Events, messages and records in the file; the states around them do not count."""
    from engine.recording.options import FILTERED

    return sum(status.stages[kind].kept for kind in FILTERED if kind in status.stages)
