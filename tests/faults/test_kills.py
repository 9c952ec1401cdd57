"""Processes are killed at random moments: each child of the engine, and the engine itself."""

from __future__ import annotations

import os
import signal
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.live import LiveEngine
from engine.modules.runner.protocol import Wanted
from engine.probe.probe import KernelProbe
from engine.recording.file import RecordingFile
from engine.selection import Selection
from tests.faults.support import (
    CHANCE,
    DEADLINE_S,
    FLOOD,
    descendants,
    number,
    plugin_row,
    program,
    running_engine,
    wait_gone,
)
from tests.kernel.kernel_facts import loaded_programs, still_loaded
from tests.kernel.test_live_traffic import compilers
from tests.ledgers import Ledger
from tests.unit.agent.support import process_exists
from tests.unit.modules.runner.support import python_module
from tests.values import json_of
from tests.waiting import wait_until

RATE = 20_000


def numbers_of(engine: LiveEngine, after: int) -> list[int]:
    """What the flood's records have counted up to, since a record's number."""
    found: list[int] = []
    while (batch := engine.since("plugin_record", after, 5_000)).records:
        assert batch.missed == 0
        found += [int(json_of(record)["fields"]["number"]) for record in batch.records]
        after = batch.last_seq
    return found


@pytest.mark.fault("kill -9 of a plugin")
def test_everything_a_killed_plugin_had_written_is_there_without_a_gap(ledger: Ledger) -> None:
    with running_engine(Selection(agent=True)) as engine:
        for turn in range(4 * ledger.budget):
            before = engine.last_seq("plugin_record")
            if turn:
                engine.restart_plugin("flood")
            else:
                engine.load_plugin(FLOOD, detail=f'{{"rate": {RATE}, "size": 128}}')
            enough = before + CHANCE.randint(1, 6_000)
            wait_recorded(engine, enough)
            ledger.inject()
            os.kill(number(plugin_row(engine, "flood"), "pid"), signal.SIGKILL)
            wait_until(lambda: plugin_row(engine, "flood")["state"] == "exited", DEADLINE_S)
            told = numbers_of(engine, before)
            assert told == list(range(1, len(told) + 1))
            ledger.survive(engine.snapshot())


def wait_recorded(engine: LiveEngine, enough: int) -> None:
    """Wait until plugins' records have come up to a number."""
    wait_until(lambda: engine.last_seq("plugin_record") >= enough, DEADLINE_S)


@pytest.mark.fault("kill -9 of a module's runner or keeper")
def test_a_killed_runner_or_keeper_ends_its_module_alone(ledger: Ledger, tmp_path: Path) -> None:
    file = python_module(tmp_path, "patient", "def wait():\n    return 1\n")
    with running_engine(Selection(agent=True, modules=(), plugins=())) as engine:
        engine.load_plugin(FLOOD, detail='{"rate": 100}')
        for turn in range(2 * ledger.budget):
            name = f"patient-{turn}"
            engine.load_module(Wanted(file, symbol="wait"), name=name)
            wait_ready(engine, name)
            keeper = psutil.Process(number(plugin_row(engine, name), "pid"))
            runner = runner_of(engine, name)
            victim = (runner, keeper)[turn % 2]
            ledger.inject()
            victim.kill()
            wait_ended(engine, name)
            wait_gone([keeper, runner])
            assert plugin_row(engine, "flood")["state"] == "running"
            ledger.survive(engine.snapshot())


def wait_ready(engine: LiveEngine, module: str) -> None:
    """Wait until a module waits for calls."""
    wait_until(lambda: "ready" in engine.module_outcomes(module), DEADLINE_S)


def wait_ended(engine: LiveEngine, name: str) -> None:
    """Wait until a plugin is told to have ended, however."""
    wait_until(lambda: plugin_row(engine, name)["state"] in ("exited", "failed"), DEADLINE_S)


def runner_of(engine: LiveEngine, name: str) -> psutil.Process:
    """The process that a module runs in, as its first steps tell."""
    for record in engine.since("module_event", 0, 10_000).records:
        told = record.as_json()
        if told["plugin"] == name and told["event"] == "ready":
            return psutil.Process(number(dict(told), "pid"))
    raise AssertionError(f"{name} has not told its runner")


@pytest.mark.kernel
@pytest.mark.fault("kill -9 of the process that compiles the kernel's programs")
def test_a_killed_compiler_is_told_and_leaves_nothing(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    for turn in range(ledger.budget):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / str(turn)))
        probe = KernelProbe(clock, Logbook(clock))
        probe.subscribe("syscall_exit-openat")
        probe.start()
        wait_until(lambda: compilers(os.getpid()), DEADLINE_S)
        (compiler,) = compilers(os.getpid())
        wait_spent(compiler, CHANCE.uniform(0.0, 1.0))
        ledger.inject()
        os.kill(compiler, signal.SIGKILL)
        assert not probe.wait_ready(DEADLINE_S)
        assert probe.status().state == "failed"
        assert "the compiler ended without an answer" in probe.status().reason
        probe.stop()
        ledger.survive(probe.counters())


def wait_spent(pid: int, seconds: float) -> None:
    """Wait until a process has used so much processor time, or has ended."""
    wait_until(lambda: spent_s(pid) >= seconds, DEADLINE_S)


def spent_s(pid: int) -> float:
    """Processor time of a process; enough once it has ended."""
    try:
        return sum(psutil.Process(pid).cpu_times()[:2])
    except psutil.NoSuchProcess:
        return float("inf")


@pytest.mark.kernel
@pytest.mark.fault("kill -9 of the engine, with everything running and recorded")
def test_a_killed_engine_leaves_no_process_no_program_and_a_whole_recording(
    ledger: Ledger, tmp_path: Path
) -> None:
    for turn in range(ledger.budget):
        recording = tmp_path / f"{turn}.db"
        with program("-m", "tests.faults.victim", str(recording)) as victim:
            assert victim.stdout is not None
            assert victim.stdout.readline() == "running\n", victim.communicate()[1]
            family = descendants(victim.pid)
            assert len(family) >= 6, "services, plugins, a keeper and its runner"
            programs = loaded_programs(victim.pid)
            assert programs
            wait_size(recording, recording.stat().st_size + CHANCE.randint(0, 400_000))
            ledger.inject()
            victim.kill()
        wait_gone(family)
        wait_unloaded(programs)
        ledger.lose(gaps_in(recording))
        ledger.survive()


def wait_size(recording: Path, least: int) -> None:
    """Wait until a file and its journal are so large together."""
    journal = Path(f"{recording}-wal")
    wait_until(
        lambda: (
            recording.stat().st_size + (journal.stat().st_size if journal.exists() else 0) >= least
        ),
        DEADLINE_S,
    )


def wait_unloaded(programs: set[int]) -> None:
    """Wait until the kernel has none of these programs."""
    wait_until(lambda: not still_loaded(programs), DEADLINE_S)


def gaps_in(recording: Path) -> int:
    """Records that are neither in a file nor among its losses, up to the last one of each kind."""
    file = RecordingFile.open(recording)
    try:
        missing = 0
        for kind in ("kernel_event", "plugin_record", "l7_message", "wasm_result", "log"):
            numbers = [record.seq for record in file.in_order({}, [kind])]
            missing += sum(after - before - 1 for before, after in pairwise(sorted(numbers)))
        ((lost,),) = file.database.execute("SELECT coalesce(sum(number), 0) FROM losses")
        return max(0, missing - int(lost))
    finally:
        file.close()


@pytest.mark.fault("kill -9 of the engine while it starts")
def test_an_engine_killed_while_it_starts_leaves_no_process(ledger: Ledger) -> None:
    for _ in range(2 * ledger.budget):
        with program("-m", "tui.cli", "demo", "--headless", "--for", "60") as victim:
            wait_family(victim.pid, CHANCE.randint(1, 5))
            ledger.inject()
            os.kill(victim.pid, signal.SIGSTOP)  # it starts nothing more while we look
            wait_stopped(victim.pid)
            family = descendants(victim.pid)
            victim.kill()
        wait_gone(family)
        assert not process_exists(victim.pid)
        ledger.survive()


def wait_family(pid: int, least: int) -> None:
    """Wait until a process has so many under it."""
    wait_until(lambda: len(descendants(pid)) >= least, DEADLINE_S)


def wait_stopped(pid: int) -> None:
    """Wait until a process that was told to stop does."""
    wait_until(lambda: psutil.Process(pid).status() == "stopped", DEADLINE_S)
