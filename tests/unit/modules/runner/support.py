"""What the tests of running modules share: an engine with modules, and what it told."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.modules.runner.protocol import Limits, Wanted
from engine.selection import Selection
from tests.unit.agent.support import open_files, process_exists
from tests.waiting import wait_until

DEADLINE_S = 30.0
SOON = Limits(open_s=1.0, call_s=1.0)
"""Deadlines for what never returns."""


class Modules:
    """An engine with modules and nothing else."""

    def __init__(self, engine: LiveEngine) -> None:
        self.engine = engine

    def load(self, file: Path, *, name: str = "", **wanted: Any) -> str:
        """Load a module."""
        return self.engine.load_module(Wanted(file, **wanted), name=name)

    def events(self, name: str = "") -> list[dict[str, Any]]:
        """Every step told so far, of one module or of all."""
        records = self.engine.since("module_event", 0, 10_000).records
        shown = [dict(record.as_json()) for record in records]
        return [one for one in shown if name in ("", one["plugin"])]

    def told(self, name: str) -> list[str]:
        """The names of these steps."""
        return [one["event"] for one in self.events(name)]

    def event(self, name: str, event: str, number: int = 1) -> dict[str, Any]:
        """A step of a module, as soon as it has been told; its `number`th of that kind."""
        wait_until(lambda: self.told(name).count(event) >= number, DEADLINE_S)
        return [one for one in self.events(name) if one["event"] == event][number - 1]

    def row(self, name: str) -> dict[str, Any]:
        """A module's row among the plugins; empty if it has none."""
        for record in self.engine.snapshot().tables["plugin_state"]:
            if record.get("plugin") == name:
                return dict(record.as_json())
        return {}

    def gone(self, name: str) -> dict[str, Any]:
        """Wait for a module's end; returns its row."""
        wait_until(lambda: self.row(name).get("state") in ("exited", "failed"), DEADLINE_S)
        return self.row(name)

    def reply(self, name: str, number: int) -> str:
        """What became of a module's last task, once there were so many."""
        wait_until(lambda: self.row(name).get("rx_count", 0) >= number, DEADLINE_S)
        wait_until(lambda: "->" in self.row(name)["last_task"], DEADLINE_S)
        return str(self.row(name)["last_task"])


@contextmanager
def running_modules() -> Iterator[Modules]:
    """A started engine; afterwards nothing is left, and the counters reconcile."""
    before = open_files()
    engine = LiveEngine(Selection(agent=True, modules=()), Settings())
    engine.start()
    modules = Modules(engine)
    try:
        yield modules
    finally:
        engine.stop()
    for status in engine.snapshot().sources.values():
        assert status.counters.balanced, status
    for event in modules.events():
        assert not event.get("pid") or not process_exists(event["pid"]), event
    wait_until(lambda: open_files() <= before)


def python_module(directory: Path, name: str, body: str) -> Path:
    """A Python module; `body` is dedented."""
    path = directory / f"{name}.py"
    path.write_text(textwrap.dedent(body), encoding="utf-8")
    return path
