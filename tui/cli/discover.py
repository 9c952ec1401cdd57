"""`boxscope discover`: list processes by port, and say why."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import UsageError
from engine.core.settings import load_settings
from tui.cli.diagnostics import say
from tui.cli.export_options import exporting
from tui.cli.options import open_port_option
from tui.cli.output import JsonOutput, choose_output, write_lines
from tui.cli.printing import Printing, printed
from tui.cli.selectors import discovery_config, selectors
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.core.source import SourceStatus
    from engine.discovery.config import DiscoveryConfig
    from engine.discovery.explain import Explanation
    from engine.discovery.policy import Policy
    from engine.live import LiveEngine
    from engine.selection import Selection

_POLICY = "\0"
"""What `--explain` stands for without a process; nobody can type that."""


@click.command("discover")
@open_port_option
@click.option("--exe", default="", metavar="GLOB", help="Only executables like this.")
@selectors
@click.option("--once/--watch", "once", default=True, help="One scan, or every change from now on.")
@click.option("--probe", is_flag=True, help="With --watch: let the kernel tell of changes at once.")
@click.option("--attach", is_flag=True, help="With --watch: capture the traffic of these, too.")
@click.option(
    "--all", "show_all", is_flag=True, help="List what is not selected and has no port, too."
)
@click.option(
    "--explain",
    is_flag=False,
    flag_value=_POLICY,
    metavar="[PROCESS]",
    help="Say why a process (PID, :PORT or NAME) is selected or not; without, what is in force.",
)
@exporting
@printed
def command(
    open_port: str | None,
    exe: str,
    beyla_config: Path | None,
    faithful: bool,
    inherit: bool | None,
    once: bool,
    probe: bool,
    attach: bool,
    show_all: bool,
    explain: str | None,
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """List the processes that own a port, each with the condition that matched."""
    if (probe or attach) and (once or explain is not None):
        flag = "--probe" if probe else "--attach"
        raise UsageError(f"{flag} is about changes to come", fix="use it together with --watch")
    loaded = load_settings({"open_port": open_port, **otlp})
    config = discovery_config(loaded, exe, beyla_config, faithful, inherit)
    if explain is not None:
        return _explain(explain, _policy(config), printing.as_json)
    for note in _policy(config).notes:
        say(note)
    from engine.live import LiveEngine
    from engine.selection import Selection

    selection = Selection(
        discovery=True,
        probe=probe or attach,
        live=attach,
        attach=attach,
        beyla=config,
        show_all=show_all,
    )
    return _run(LiveEngine(selection, loaded.values), selection, printing, once=once)


def _run(engine: LiveEngine, selection: Selection, printing: Printing, *, once: bool) -> int:
    """Print the processes there are, and unless that is all what becomes of them."""

    def scanned() -> bool:
        return engine.snapshot().sources["discovery"].state != "starting"

    def all_begun() -> bool:
        return all(each.state != "starting" for each in engine.snapshot().sources.values())

    options = StreamOptions(
        ("process",),
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        done=scanned if once else lambda: False,
        ready=all_begun,
        announce=lambda: _without_probe(engine.snapshot().sources.get("probe")),
        tables=("capture_state",) if selection.attach else (),
    )
    output = choose_output(printing.as_json, columns=_columns(once, selection.show_all))
    return StreamRunner(engine, output, options).run_or_fail("discovery")


def _columns(once: bool, show_all: bool) -> tuple[str, ...]:
    """What people are shown, the weightiest first."""
    return (
        *(() if once else ("ts", "change")),
        "pid",
        "comm",
        "ports",
        *(("verdict",) if show_all else ()),
        "criterion",
        *("language", "user", "container_id", "exe", "argv"),
    )


def _without_probe(status: SourceStatus | None) -> Iterable[str]:
    """Why changes show at the next scan only, if that is so."""
    if status is not None and status.state == "failed":
        fix = f" ({status.fix})" if status.fix else ""
        yield f"changes show at the next scan, not at once: {status.reason}{fix}"


def _policy(config: DiscoveryConfig) -> Policy:
    from engine.discovery.policy import policy_of

    return policy_of(config)


def _explain(what: str, policy: Policy, as_json: bool) -> int:
    from engine.discovery.explain import explain
    from engine.discovery.lookup import find_pid

    if what == _POLICY:
        subject: Policy | Explanation = policy
    else:
        subject = explain(find_pid(what), policy)
    if as_json:
        JsonOutput().object(subject.as_json())
    else:
        write_lines(subject.lines())
    return 0
