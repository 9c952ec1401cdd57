"""Building a Go host is told while it goes on, and ends with all it has started when cancelled."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from engine.core.errors import ModuleLoadError
from engine.core.progress import Tasks
from engine.modules.runner.go_build import _build
from tests.waiting import wait_until

ENVIRONMENT = {"PATH": os.defpath}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_the_toolchain_says_is_given_back(tmp_path: Path) -> None:
    told = _build(["sh", "-c", "echo no such type >&2; exit 3"], tmp_path, ENVIRONMENT, Tasks())
    assert told == (3, "no such type\n")


def test_cancelling_ends_the_toolchain_and_what_it_has_started(tmp_path: Path) -> None:
    tasks = Tasks()
    errors: list[ModuleLoadError] = []

    def build() -> None:
        script = "sleep 60 & echo $! > compiler; wait"
        with pytest.raises(ModuleLoadError) as cancelled:
            _build(["sh", "-c", script], tmp_path, ENVIRONMENT, tasks)
        errors.append(cancelled.value)

    building = threading.Thread(target=build)
    building.start()
    compiler = tmp_path / "compiler"
    wait_until(lambda: compiler.exists() and compiler.read_text().strip())
    wait_until(tasks.facts)
    (task,) = tasks.facts()
    assert (task.name, task.cancellable) == ("building a Go host", True)
    tasks.cancel(task.number)
    building.join(20)
    assert "was cancelled" in errors[0].message
    wait_until(lambda: not is_alive(int(compiler.read_text())))
    assert tasks.facts() == ()


def test_a_toolchain_that_cannot_be_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModuleLoadError, match="was not built"):
        _build([str(tmp_path / "none")], tmp_path, ENVIRONMENT, Tasks())
