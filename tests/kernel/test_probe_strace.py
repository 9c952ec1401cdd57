"""`strace -f -c` and the probe count the same calls of the same command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from engine.core.records import Record
from engine.probe.call_events import CALL_EVENTS
from engine.probe.calls import CALLS
from engine.probe.filters import Filters
from tests.kernel.conftest import Watch

pytestmark = pytest.mark.kernel

_CALLER = Path(__file__).with_name("caller_process.py")
_SAME_ADDRESSES = ("setarch", "-R")
"""So that both runs of a command grow the same memory."""
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C",
    "PYTHONHASHSEED": "0",
    "PWD": str(Path.cwd()),  # a shell that has it makes other calls, and passes it on
}
_STOPPED = 'kill -STOP $$; exec "$@"'
_NEVER_RETURN = {call.name for call in CALLS if not call.returns} - {"rt_sigreturn"}
"""strace counts a call when it returns."""
_OTHER_NAMES = {
    "pread": "pread64",
    "pwrite": "pwrite64",
    "prlimit": "prlimit64",
    "umount": "umount2",
}
NEVER_ATTEMPTED = {
    *("exit", "exit_group", "rt_sigreturn", "uprobe", "uretprobe"),  # they end the caller
    *("fork", "vfork", "pause"),
    *("vhangup", "sync", "kill", "msgget"),  # others would notice, or something would stay
}
_LINE = re.compile(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(\d+)?\s+(\w+)")

Counted = dict[str, tuple[int, int]]
"""Calls and failed ones by name."""


def counted_by_strace(command: list[str], stdin: Path, report: Path) -> Counted:
    """What strace counts of a command and its children."""
    with stdin.open("rb") as opened:
        subprocess.run(
            ["strace", "-f", "-c", "-o", str(report), *_SAME_ADDRESSES, *command],
            stdin=opened,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
            check=True,
        )
    found = map(_LINE.fullmatch, report.read_text().splitlines())
    lines = {each[3]: (int(each[1]), int(each[2] or 0)) for each in found if each}
    lines.pop("total", None)
    return lines


def counted_by_probe(watch: Watch, command: list[str], stdin: Path) -> Counted:
    """What the probe tells of a command and its children, from its first execve on."""
    with (
        stdin.open("rb") as opened,
        subprocess.Popen(
            ["sh", "-c", _STOPPED, "sh", *_SAME_ADDRESSES, *command],
            stdin=opened,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_ENVIRONMENT,
        ) as child,
    ):
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        watch.probe.set_filters(Filters(tgids=frozenset({child.pid}), follow=True))
        watch.probe.switch(((e.name, "") for e in CALL_EVENTS if not e.absent), True)
        watch.restart()
        os.kill(child.pid, signal.SIGCONT)
    assert child.returncode == 0
    records = watch.records()
    assert watch.probe.counters().dropped_total == 0
    first = next(place for place, record in enumerate(records) if starts(record, child.pid))
    return count(records[first:])


def starts(record: Record, pid: int) -> bool:
    return record.get("event") == "syscall_enter-execve" and record.pid == pid


def count(records: list[Record]) -> Counted:
    calls: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for record in records:
        name = str(record.get("event")).partition("-")[2]
        name = _OTHER_NAMES.get(name, name)
        calls[name] += record.get("direction") == "enter"
        failed[name] += record.get("errno") is not None
    return {name: (calls[name], failed[name]) for name in calls if name not in _NEVER_RETURN}


def scenarios(directory: Path) -> str:
    """Commands for the caller that make it use every kind of call."""
    (directory / "work").mkdir()
    return "".join(
        f"[{command}]\n"
        for command in (
            f'"files", "{directory}/work"', '"descriptors"', '"sockets"', '"processes"',
            '"memory"', '"unreadable"', '"execute", "/bin/true", "argument"',
        )
    )  # fmt: skip


def attempted() -> list[int]:
    """The numbers of all calls that can be made without harm and return at once."""
    return [
        call.number
        for call in CALLS
        if call.number is not None and call.name not in NEVER_ATTEMPTED
    ]


@pytest.fixture
def strace() -> str:
    found = shutil.which("strace")
    if found is None:
        pytest.skip("strace is not installed: apt-get install -y strace")
    return found


@pytest.mark.parametrize(
    "command",
    [
        ["ls", "-la", "/etc"],
        ["sort", "/etc/passwd"],
        ["cp", "-r", "/usr/include/linux", "COPY"],
        ["sh", "-c", "ls /etc; cat /etc/passwd; true"],
        ["find", "/etc", "-name", "passwd"],
        ["tar", "-cf", "ARCHIVE", "/etc/default"],
        ["head", "-c", "100000", "/dev/zero"],
        ["stat", "/nowhere/at/all", "/etc"],
    ],
    ids=lambda command: command[0],
)
def test_counts_agree_for_commands(
    watch: Watch, strace: str, tmp_path: Path, command: list[str]
) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    seen = []
    for run in ("one", "two"):
        place = tmp_path / run
        place.mkdir()
        placed = [str(place / "made") if word in ("COPY", "ARCHIVE") else word for word in command]
        if command[0] == "stat":
            placed = ["sh", "-c", f"{' '.join(placed)} || true"]
        if run == "one":
            seen.append(counted_by_strace(placed, empty, tmp_path / "report"))
        else:
            seen.append(counted_by_probe(watch, placed, empty))
    assert seen[1] == seen[0]
    assert sum(calls for calls, _ in seen[0].values()) > 30


def test_counts_agree_for_every_call_there_is(watch: Watch, strace: str, tmp_path: Path) -> None:
    command = [sys.executable, "-E", "-S", str(_CALLER)]
    script = tmp_path / "script"
    script.write_text(json.dumps(["attempt", attempted()]) + "\n")
    theirs = counted_by_strace(command, script, tmp_path / "report")
    ours = counted_by_probe(watch, command, script)
    # strace does not count calls that are newer than itself.
    numbers = {_OTHER_NAMES.get(call.name, call.name): call.number for call in CALLS}
    newest = max(number for name in theirs if (number := numbers[name]) is not None)
    newer = {name for name in ours if (number := numbers[name]) is not None and number > newest}
    assert {name: counted for name, counted in ours.items() if name not in newer} == theirs
    assert len(theirs) + len(newer) >= len(attempted()) > 350


def test_counts_agree_for_every_kind_of_use(watch: Watch, strace: str, tmp_path: Path) -> None:
    command = [sys.executable, "-E", "-S", "-X", "frozen_modules=on", str(_CALLER)]
    seen = []
    for run in ("one", "two"):
        place = tmp_path / run
        place.mkdir()
        script = place / "script"
        script.write_text(scenarios(place))
        if run == "one":
            seen.append(counted_by_strace(command, script, tmp_path / "report"))
        else:
            seen.append(counted_by_probe(watch, command, script))
    ours, theirs = seen[1], seen[0]
    assert ours == theirs
    assert len(theirs) > 100
