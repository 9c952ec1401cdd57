"""`boxscope engine`: the engine without a screen, for consoles to attach to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.settings import load_settings
from tui.cli.diagnostics import say
from tui.cli.export_options import exporting
from tui.cli.options import Seconds, json_option
from tui.cli.output import choose_output
from tui.cli.selectors import SourceChoice, source_options
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.discovery.config import DiscoveryConfig
    from engine.engine import Engine
    from engine.live import Selection


@click.command("engine")
@click.option(
    "--socket",
    "path",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Where to listen. Default: boxscope/engine.sock in XDG_RUNTIME_DIR, for root in /run.",
)
@click.option(
    "--group", default="", metavar="NAME", help="Users of this group may attach too, to look only."
)
@source_options
@exporting
@click.option("--for", "seconds", type=Seconds(), help="Stop after so many seconds.")
@json_option
def command(
    path: Path | None,
    group: str,
    choice: SourceChoice,
    otlp: dict[str, object],
    seconds: float | None,
    as_json: bool,
) -> int:
    """Run the engine until a signal ends it; consoles come and go with boxscope attach.

    Everything the console has runs; what is chosen here runs from the start.
    """
    from engine.live import LiveEngine
    from engine.remote.address import Claim, own_address
    from engine.remote.server import EngineServer

    loaded = load_settings({"open_port": choice.open_port, **otlp})
    selection = _selection(choice, choice.discovery_config(loaded))
    engine = LiveEngine(selection, loaded.values)
    claim = Claim(path or own_address(), group)
    options = StreamOptions((), seconds, announce=lambda: _troubles(engine))
    with EngineServer(
        engine,
        claim,
        base_pids=frozenset(choice.pids),
        note=lambda level, text: engine.note("attach", level, text),
    ):
        say(f"the engine, process {os.getpid()}, listens at {claim.path}")
        return StreamRunner(engine, choose_output(as_json), options).run()


def _selection(choice: SourceChoice, config: DiscoveryConfig) -> Selection:
    """Everything the console has, and of it at once what is chosen.

    Raises:
        UsageError: some of it means nothing.
    """
    from engine.live import PluginRequest, Selection
    from engine.probe.filters import Filters

    subscriptions, suppressed = (
        choice.asked_subscriptions() if choice.by_event else ((), frozenset[str]())
    )
    filters = Filters(tgids=frozenset(choice.pids), excluded_comms=suppressed)
    filters.check()
    return Selection(
        agent=True,
        plugins=tuple(PluginRequest(plugin) for plugin in choice.plugins),
        modules=(),
        discovery=True,
        beyla=config,
        probe=True,
        subscriptions=subscriptions,
        filters=filters,
        live=True,
        attach=choice.attach,
        attach_pids=choice.pids,
        capture=choice.pcap,
        wasm=choice.wasm,
        strict=True,
    )


def _troubles(engine: Engine) -> Iterable[str]:
    """What cannot run, as far as that is known at once."""
    for name, status in engine.snapshot().sources.items():
        if status.state in ("failed", "degraded"):
            yield f"{name}: {status.reason}"
