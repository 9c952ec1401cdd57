"""What a module does is in the kernel events, under its name, while it runs and no longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.selection import Selection
from tests.kernel.kernel_facts import loaded_programs, still_loaded
from tests.unit.agent.support import REPOSITORY
from tests.unit.modules.runner.support import DEADLINE_S, Modules, python_module
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

DOCTOR = REPOSITORY / "fixtures" / "modules" / "doctor.py"
READY_S = 90.0


class Watched(Modules):
    """An engine with modules and a probe."""

    def kernel_events(self, **wanted: object) -> list[dict[str, Any]]:
        """The kernel events delivered so far that have these values."""
        shown = [one.as_json() for one in self.engine.since("kernel_event", 0, 100_000).records]
        return [
            dict(one) for one in shown if all(one[name] == value for name, value in wanted.items())
        ]

    def subscribed(self) -> set[tuple[str, str]]:
        """What is on."""
        rows = self.engine.snapshot().tables["subscription"]
        return {(str(row.get("event")), str(row.get("category"))) for row in rows if row.get("on")}


@pytest.fixture
def modules() -> Iterator[Watched]:
    engine = LiveEngine(Selection(agent=True, modules=(), probe=True), Settings())
    engine.start()
    try:
        wait_until(lambda: engine.snapshot().sources["probe"].state != "starting", READY_S)
        programs = loaded_programs()
        yield Watched(engine)
    finally:
        engine.stop()
    for status in engine.snapshot().sources.values():
        assert status.counters.balanced, status
    assert programs
    wait_until(lambda: not still_loaded(programs), DEADLINE_S)  # they are freed a little later


def test_the_doctors_shell_is_in_the_stream_with_its_name(modules: Watched) -> None:
    modules.load(DOCTOR, symbol="Doctor", call="HealthCheck")
    modules.event("doctor", "ready")
    wait_until(lambda: modules.kernel_events(comm="sh", name="execve"), DEADLINE_S)
    (shell,) = modules.kernel_events(comm="sh", name="execve")
    assert shell["module"] == "doctor"
    assert shell["attributes"]["args"] == ["-c", "echo this could have been anything"]
    assert shell["attributes"]["ptid"] == modules.row("doctor")["pid"]


def test_opens_and_connects_come_too_and_everything_is_taken_back(
    modules: Watched, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s")
    body = f"""
    import os, socket
    def look():
        open({str(secret)!r}).close()
        with socket.socket() as one:
            one.connect_ex(("127.0.0.1", 9))
    """
    modules.load(python_module(tmp_path, "nosy", body), symbol="look", call="()")
    modules.event("nosy", "ready")
    assert modules.subscribed() >= {
        ("syscall_exit-openat", "file"),
        ("syscall_exit-connect", "net"),
    }

    def opened() -> list[dict[str, Any]]:
        events = modules.kernel_events(module="nosy", name="openat")
        return [one for one in events if str(secret) in str(one)]

    wait_until(opened, DEADLINE_S)
    wait_until(lambda: modules.kernel_events(module="nosy", name="connect"), DEADLINE_S)
    modules.engine.unload_plugin("nosy")
    wait_until(lambda: not modules.subscribed(), DEADLINE_S)


def test_what_leaves_its_session_keeps_its_name(modules: Watched, tmp_path: Path) -> None:
    body = """
    import subprocess
    def leave():
        subprocess.run(["sh", "-c", "(setsid -f true)"])
    """
    modules.load(python_module(tmp_path, "leaves", body), symbol="leave", call="()")
    modules.event("leaves", "ready")
    wait_until(lambda: modules.kernel_events(comm="true", name="execve"), DEADLINE_S)
    assert {one["module"] for one in modules.kernel_events(comm="true")} == {"leaves"}


def test_where_nothing_else_is_subscribed_nothing_else_is_delivered(
    modules: Watched, tmp_path: Path
) -> None:
    modules.load(DOCTOR)
    modules.event("doctor", "ready")
    marker = tmp_path / "marker"
    os.system(f"cat {marker} 2>/dev/null")
    modules.engine.call_module("doctor", "Doctor.HealthCheck")
    wait_until(lambda: modules.kernel_events(comm="sh"), DEADLINE_S)
    assert not [one for one in modules.kernel_events() if str(marker) in str(one)]


def test_what_somebody_subscribes_meanwhile_is_theirs(modules: Watched) -> None:
    modules.load(DOCTOR)
    modules.event("doctor", "ready")
    modules.engine.subscribe("syscall_exit-openat")
    modules.engine.unload_plugin("doctor")
    wait_until(lambda: modules.subscribed() == {("syscall_exit-openat", "file")}, DEADLINE_S)
    marker = "/tmp/somebody-else-opens-this"
    os.system(f"cat {marker} 2>/dev/null")
    wait_until(lambda: [one for one in modules.kernel_events() if marker in str(one)], DEADLINE_S)
