"""`boxscope engine`: the engine without a screen, for consoles to attach to."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
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
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.discovery.config import DiscoveryConfig
    from engine.engine import Engine
    from engine.selection import Selection
    from engine.workspace import Workspace
    from tui.cli.events import Subscriptions


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
@workspace_option
@click.option("--for", "seconds", type=Seconds(), help="Stop after so many seconds.")
@json_option
def command(
    path: Path | None,
    group: str,
    choice: SourceChoice,
    workspace: Path | None,
    otlp: dict[str, object],
    seconds: float | None,
    as_json: bool,
) -> int:
    """Run the engine until a signal ends it; consoles come and go with boxscope attach.

    Everything the console has runs; what is chosen here runs from the start. Of a workspace that
    is its subscriptions, ports, plugins, modules and Wasm plugins, beside those chosen by flags.
    """
    from engine.live import LiveEngine
    from engine.remote.address import Claim, own_address
    from engine.remote.server import EngineServer

    opened = open_workspace(workspace, open_port=choice.open_port, beyla_config=choice.beyla_config)
    asked = opened.workspace
    loaded = load_settings({"open_port": choice.open_port, **otlp}, workspace=asked.settings())
    choice = replace(choice, exe=choice.exe or asked.exe, beyla_config=asked.beyla_config)
    selection = _selection(choice, choice.discovery_config(loaded), asked.pairs())
    engine = LiveEngine(selection, loaded.values)
    claim = Claim(path or own_address(), group)
    options = StreamOptions((), seconds, announce=lambda: _begin(engine, asked))
    with EngineServer(
        engine,
        claim,
        base_pids=frozenset(choice.pids),
        note=lambda level, text: engine.note("attach", level, text),
    ):
        say(f"the engine, process {os.getpid()}, listens at {claim.path}")
        return StreamRunner(engine, choose_output(as_json), options).run()


def _selection(choice: SourceChoice, config: DiscoveryConfig, more: Subscriptions) -> Selection:
    """Everything the console has, and of it at once what is chosen, with more kernel events.

    Raises:
        UsageError: some of it means nothing.
    """
    from engine.probe.filters import Filters
    from engine.selection import PluginRequest, Selection

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
        subscriptions=(*subscriptions, *more),
        filters=filters,
        live=True,
        attach=choice.attach,
        attach_pids=choice.pids,
        capture=choice.pcap,
        wasm=choice.wasm,
        strict=True,
    )


def _begin(engine: Engine, workspace: Workspace) -> Iterable[str]:
    """Load what a workspace names; tell what cannot be, or cannot run, as far as that is known."""
    from engine.workspace_parts import load_parts

    for error in load_parts(engine, workspace).errors:
        yield f"not restored: {error.message}" + (f" ({error.fix})" if error.fix else "")
    for name, status in engine.snapshot().sources.items():
        if status.state in ("failed", "degraded"):
            yield f"{name}: {status.reason}"
