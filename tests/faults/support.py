"""What the faults' tests share: programs to be hit, and how to tell that nothing is left."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.selection import Selection
from tests.leftovers import own_temporary_files
from tests.unit.agent.support import DEMO_PLUGINS, process_exists
from tests.waiting import wait_until

DEADLINE_S = 60.0
ROOT = Path(__file__).parents[2]
FLOOD = DEMO_PLUGINS / "flood"
CHANCE = random.Random()
"""When a fault happens: another moment in each run."""


@contextmanager
def running_engine(selection: Selection, **settings: object) -> Iterator[LiveEngine]:
    """A started engine, stopped afterwards; its probe, if it has one, runs."""
    engine = LiveEngine(selection, Settings.model_validate(settings))
    engine.start()
    try:
        if selection.probe:
            wait_until(lambda: state(engine, "probe") not in ("off", "starting"), 2 * DEADLINE_S)
            assert state(engine, "probe") == "running", engine.snapshot().sources["probe"]
        yield engine
    finally:
        engine.stop()


def state(engine: LiveEngine, source: str) -> str:
    """How a source is."""
    return engine.snapshot().sources[source].state


def plugin_row(engine: LiveEngine, name: str) -> dict[str, object]:
    """A plugin's row; empty if it has none."""
    for record in engine.snapshot().tables.get("plugin_state", ()):
        if record.get("plugin") == name:
            return dict(record.as_json())
    return {}


def number(row: dict[str, object], field: str) -> int:
    """A whole number of a row; 0 where it has none."""
    value = row.get(field)
    return value if isinstance(value, int) else 0


def wait_sent(engine: LiveEngine, name: str, before: int = 0) -> None:
    """Wait until a plugin has sent more records than before."""
    wait_until(lambda: number(plugin_row(engine, name), "tx_count") > before, DEADLINE_S)


@contextmanager
def program(*arguments: str, wrapper: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A Python program of this repository; killed afterwards if it still runs."""
    with (
        own_temporary_files() as environment,
        subprocess.Popen(
            [*wrapper, sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "PYTHONPATH": str(ROOT)},
        ) as child,
    ):
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def descendants(pid: int) -> list[psutil.Process]:
    """The processes under one."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).children(recursive=True)
    return []


def wait_gone(processes: list[psutil.Process]) -> None:
    """Wait until none of them lives."""
    wait_until(lambda: not any(_lives(each) for each in processes), DEADLINE_S)


def _lives(process: psutil.Process) -> bool:
    return process.is_running() and process_exists(process.pid)
