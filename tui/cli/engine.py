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
from tui.cli.selectors import discovery_config, source_options
from tui.cli.stream import StreamOptions, StreamRunner
from tui.cli.workspace import open_workspace, workspace_option

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.workspace import Workspace


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
    from engine.probe.filters import Filters
    from engine.remote.address import Claim, own_address
    from engine.remote.server import EngineServer
    from engine.selection import PluginRequest, Selection
    from tui.cli.events import asked_subscriptions

    asked = open_workspace(workspace, open_port=open_port, beyla_config=beyla_config).workspace
    loaded = load_settings({"open_port": open_port, **otlp}, workspace=asked.settings())
    chosen = bool(events or presets or files)
    subscriptions, suppressed = (
        asked_subscriptions(events, presets, files, faithful=faithful)
        if chosen
        else ((), frozenset[str]())
    )
    filters = Filters(tgids=frozenset(pids), excluded_comms=suppressed)
    filters.check()
    selection = Selection(
        agent=True,
        plugins=tuple(PluginRequest(plugin) for plugin in plugins),
        modules=(),
        discovery=True,
        beyla=discovery_config(loaded, exe or asked.exe, asked.beyla_config, faithful, inherit),
        probe=True,
        subscriptions=(*subscriptions, *asked.pairs()),
        filters=filters,
        live=True,
        attach=attach,
        attach_pids=pids,
        capture=pcap,
        wasm=wasm,
        strict=True,
    )
    engine = LiveEngine(selection, loaded.values)
    claim = Claim(path or own_address(), group)
    options = StreamOptions((), seconds, announce=lambda: _begin(engine, asked))
    with EngineServer(
        engine,
        claim,
        base_pids=filters.tgids,
        note=lambda level, text: engine.note("attach", level, text),
    ):
        say(f"the engine, process {os.getpid()}, listens at {claim.path}")
        return StreamRunner(engine, choose_output(as_json), options).run()


def _begin(engine: Engine, workspace: Workspace) -> Iterable[str]:
    """Load what a workspace names; tell what cannot be, or cannot run, as far as that is known."""
    from engine.workspace_parts import load_parts

    for error in load_parts(engine, workspace).errors:
        yield f"not restored: {error.message}" + (f" ({error.fix})" if error.fix else "")
    for name, status in engine.snapshot().sources.items():
        if status.state in ("failed", "degraded"):
            yield f"{name}: {status.reason}"
