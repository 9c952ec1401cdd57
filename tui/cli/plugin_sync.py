"""`boxscope plugins sync`: run a list of plugins as an agent runs what its server pushes."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import BoxscopeError, PluginError, UsageError
from tui.cli.diagnostics import report, say
from tui.cli.output import JsonOutput, Output, choose_output, write_lines
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.agent.config import PluginConfig
    from engine.agent.sync import SyncStep
    from tui.cli.plugin_engine import PluginEngine

_LOOK_S = 1.0


@click.command("sync")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only print what would happen.")
@click.option(
    "--from",
    "old",
    type=click.Path(path_type=Path),
    help="With --dry-run: the list whose plugins are taken to be running.",
)
@click.option(
    "--run-dir",
    type=click.Path(path_type=Path),
    help="Where plugins are installed. Default: a private directory that is removed at the end.",
)
@click.option("--watch", is_flag=True, help="Carry the list out again whenever CONFIG changes.")
@click.option("--records", is_flag=True, help="Print every record, not only the states.")
@printed
def sync_plugins(
    config: Path,
    dry_run: bool,
    old: Path | None,
    run_dir: Path | None,
    watch: bool,
    records: bool,
    printing: Printing,
) -> int:
    """Make the running plugins those of the list CONFIG (YAML or JSON).

    Each item has name, version, type, sha256, signature, download_urls and detail, as a server
    of the Elkeid agent sends them.
    """
    if old and not dry_run:
        raise UsageError("--from goes with --dry-run", fix="add --dry-run")
    wanted = _read(config)
    if dry_run:
        return _print_plan(wanted, _read(old) if old else (), run_dir, printing.as_json)
    from tui.cli.plugin_engine import PluginEngine
    from tui.cli.plugins import STREAMS

    engine = PluginEngine(heartbeat_s=60.0, run_dir=run_dir)
    output = choose_output(printing.as_json, several_kinds=True)
    job = _SyncJob(engine, output, config, wanted, watch=watch)
    options = StreamOptions(
        STREAMS if records else STREAMS[2:],
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        ready=job.begin,
        done=job.done,
    )
    return StreamRunner(engine, output, options).run() or job.outcome()


def _read(path: Path) -> tuple[PluginConfig, ...]:
    from engine.agent.config import read_config

    configs, notes = read_config(path)
    for note in notes:
        say(note)
    return configs


def _print_plan(
    wanted: Sequence[PluginConfig], running: Sequence[PluginConfig], run_dir: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    from engine.agent.sync import KnownPlugin, plan_sync

    known = {one.name: KnownPlugin(one.version, True) for one in running}
    place = run_dir.absolute() if run_dir else Path("(private directory)")
    steps = plan_sync(known, wanted, place / "plugin")
    _print_steps(steps, choose_output(as_json))
    return 1 if any(step.error for step in steps) else 0


def _print_steps(steps: Sequence[SyncStep], output: Output) -> None:
    for step in steps:
        if isinstance(output, JsonOutput):
            output.object({"kind": "sync_step", **asdict(step)})
        else:
            write_lines([_line(step)])
    output.flush()


def _line(step: SyncStep) -> str:
    versions = " -> ".join(version for version in (step.was_version, step.version) if version)
    told = [f"{step.action:<8} {step.plugin}", versions, step.note]
    told.append(f"deletes {step.deletes}" if step.deletes else "")
    told.append(f"FAILS: {step.error}" if step.error else "")
    return "  ".join(part for part in told if part)


class _SyncJob:
    """Carries a list out in a thread of its own, so that output and Ctrl-C never wait for it."""

    def __init__(
        self,
        engine: PluginEngine,
        output: Output,
        path: Path,
        configs: tuple[PluginConfig, ...],
        *,
        watch: bool,
    ) -> None:
        from engine.agent.restart import ExecutableWatch

        self._engine = engine
        self._output = output
        self._path = path
        self._configs = configs
        self._watch = ExecutableWatch(path) if watch else None
        self._look_at_s = 0.0
        self._thread: threading.Thread | None = None
        self._steps: tuple[SyncStep, ...] | None = None
        self._error: BoxscopeError | None = None
        self._failed = False

    def begin(self) -> bool:
        """Start to carry the list out."""
        self._steps = None
        self._thread = threading.Thread(target=self._sync, daemon=True)
        self._thread.start()
        return True

    def _sync(self) -> None:
        try:
            self._steps = self._engine.plugins.sync(self._configs)
        except PluginError as error:
            self._error = error

    def done(self) -> bool:
        """Print what was done; True once nothing runs any more and nothing can come."""
        if self._thread is not None:
            if self._thread.is_alive():
                return False
            self._finish()
        if self._watch is not None:
            self._look()
            return False
        rows = self._engine.snapshot().tables["plugin_state"]
        return all(row.get("state") in ("exited", "failed") for row in rows)

    def _finish(self) -> None:
        self._thread = None
        if self._steps is not None:
            _print_steps(self._steps, self._output)
            self._failed = any(step.error for step in self._steps)
        elif self._error is not None:
            self._failed = True
            report(self._error)

    def _look(self) -> None:
        now_s = time.monotonic()
        if self._watch is None or now_s < self._look_at_s:
            return
        self._look_at_s = now_s + _LOOK_S
        if not self._watch.changed():
            return
        try:
            self._configs = _read(self._path)
        except BoxscopeError as error:
            report(error)
            return
        say(f"{self._path} has changed and is carried out again")
        self.begin()

    def outcome(self) -> int:
        """1 if the latest list could not be carried out whole."""
        return 1 if self._failed else 0
