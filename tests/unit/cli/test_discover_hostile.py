"""`boxscope discover` among processes that would do it harm: listed, watched and explained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from engine.core.errors import ProcessGone
from engine.core.identity import read_stat
from tests.unit.cli.test_discover import CLEAN
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until

NAME = b"\x1b[2J\x1b]0;x\x07"
MEBIBYTE = [b"\x1b[31m" + b"x" * 131_000] * 8
RENAME = f"open('/proc/self/comm', 'wb').write({NAME!r}); "
BRIEF_LIVES = (
    "import os, socket\n"
    "while True:\n"
    "    if os.fork() == 0:\n"
    "        socket.create_server(('127.0.0.1', 0))\n"
    "        os._exit(0)\n"
    "    os.wait()\n"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")


@dataclass
class Hostiles:
    """Their pids."""

    named: int
    long: int
    zombie: int
    port: int
    """Of the one with the name."""
    kernel_thread: int | None

    @property
    def pids(self) -> list[int]:
        kernel = [] if self.kernel_thread is None else [self.kernel_thread]
        return [self.named, self.long, self.zombie, *kernel]


@contextmanager
def running(*command: str | bytes) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture(scope="module")
def hostiles() -> Iterator[Hostiles]:
    with ExitStack() as stack:
        named = stack.enter_context(Listener(before=RENAME))
        port = named.open()
        long = stack.enter_context(running("sh", "-c", "cat; :", *MEBIBYTE))
        stack.enter_context(running(sys.executable, "-S", "-E", "-c", BRIEF_LIVES))
        zombie = subprocess.Popen(["true"])
        stack.callback(zombie.wait)
        wait_until(lambda: read_stat(zombie.pid).state == "Z")
        yield Hostiles(named.pid, long.pid, zombie.pid, port, kernel_thread())


def kernel_thread() -> int | None:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if read_stat(int(pid)).is_kernel_thread:
                return int(pid)
        except (ProcessGone, PermissionError):
            continue
    return None


@pytest.fixture(params=["own", pytest.param("unprivileged", marks=needs_root)])
def module(request: pytest.FixtureRequest) -> str:
    """What runs the command: as this user, or as one that may look into nobody."""
    return "tui.cli" if request.param == "own" else "tests.unit.cli.unprivileged"


def discover(module: str, *arguments: str) -> str:
    """What the command printed; it has to end well and must not pass anything raw."""
    done = subprocess.run(
        [sys.executable, "-m", module, "discover", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        env={**os.environ, **CLEAN},
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    for raw in (done.stdout, done.stderr):
        assert not {0x1B, 0x07} & set(raw)
        assert b"\\u001b" not in raw
    return done.stdout.decode()


def test_listed(hostiles: Hostiles, module: str) -> None:
    rows = [json.loads(line) for line in discover(module, "--all", "--json").splitlines()]
    stats: dict[str, Any] = rows.pop()
    counters = stats["sources"]["discovery"]
    assert counters["seen"] == counters["kept"] + sum(counters["dropped"].values())
    found = {row.get("pid"): row for row in rows}
    assert sum(map(len, found[hostiles.long]["argv"])) < 1 << 17
    assert not {hostiles.zombie, hostiles.kernel_thread} & found.keys() - {None}
    named = found[hostiles.named]
    owner = named if module == "tui.cli" else found[None]
    assert hostiles.port in [port["port"] for port in owner["ports"]]
    assert "[2J" in named["comm"]


def test_watched(hostiles: Hostiles, module: str) -> None:
    shown = discover(module, "--watch", "--all", "--for", "0")
    lines = [line.split() for line in shown.splitlines()]
    told = {line[2]: line[1] for line in lines if len(line) > 2 and line[1] == "created"}
    assert {str(hostiles.named), str(hostiles.long)} <= told.keys()


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_explained(hostiles: Hostiles, module: str, form: tuple[str, ...]) -> None:
    for pid in hostiles.pids:
        shown = discover(module, "--explain", str(pid), *form)
        assert str(pid) in shown
        assert "any" in shown


def test_what_is_hidden_is_said_to_be(hostiles: Hostiles) -> None:
    if os.geteuid():
        pytest.skip("needs root to give it up")
    shown = discover("tests.unit.cli.unprivileged", "--explain", str(hostiles.named))
    assert "exe              hidden" in shown
    assert "open_ports: expected any, actual hidden (it may not be read; run as root)" in shown
