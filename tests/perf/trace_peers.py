"""What strace and bpftrace cost the process they look at, where they are installed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from tests.waiting import wait_until

CALLS = 20_000
ROUNDS = 5
READY_S = 30.0
_LOST = re.compile(r"[Ll]ost (\d+) events")

Call = Callable[[int], float]
"""Makes so many calls of close; returns the seconds they took."""


class Price(NamedTuple):
    """What a tracer costs."""

    ns: float
    """A call, while it is traced."""
    lost: int
    """Events it says to have lost."""


def prices(pid: int, call: Call) -> dict[str, Price | str]:
    """What each costs, or why that is not known.

    Args:
        pid: The process that makes the calls.
        call: Has it make them.
    """
    return {"strace": _strace(pid, call), "bpftrace": _bpftrace(pid, call)}


def _strace(pid: int, call: Call) -> Price | str:
    program = shutil.which("strace")
    if program is None:
        return "not installed"
    command = [program, "-p", str(pid), "-e", "trace=close", "-o", "/dev/null"]
    status = Path(f"/proc/{pid}/status")

    def traced() -> bool:
        return "TracerPid:\t0\n" not in status.read_text()

    return _priced(command, traced, lambda: call(CALLS), CALLS)


def _bpftrace(pid: int, call: Call) -> Price | str:
    program = shutil.which("bpftrace")
    if program is None:
        return "not installed"
    script = (
        f'BEGIN {{ printf("ready\\n") }} tracepoint:syscalls:sys_enter_close /pid == {pid}/ '
        '{ printf("%llu %d %s %d\\n", nsecs, tid, comm, args->fd) }'
    )
    return _priced([program, "-e", script], None, lambda: call(CALLS), CALLS)


def _priced(
    command: list[str], ready: Callable[[], bool] | None, run: Callable[[], float], calls: int
) -> Price | str:
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as tracer:
        assert tracer.stdout is not None
        try:
            if ready is not None:
                with suppress(AssertionError):
                    wait_until(lambda: ready() or tracer.poll() is not None, READY_S)
            elif not _says_ready(tracer):
                tracer.kill()
                return f"does not run here: {_reason(tracer.communicate()[1])}"
            if tracer.poll() is not None:
                return f"does not run here: {_reason(tracer.communicate()[1])}"
            drain = subprocess.Popen(["cat"], stdin=tracer.stdout, stdout=subprocess.DEVNULL)
            taken = min(run() for _ in range(ROUNDS)) / calls * 1e9
        finally:
            if tracer.poll() is None:
                tracer.terminate()
        drain.wait()
        assert tracer.stderr is not None
        told = tracer.stderr.read()
    return Price(taken, sum(int(number) for number in _LOST.findall(told)))


def _says_ready(tracer: subprocess.Popen[str]) -> bool:
    """Whether a line comes that says so; the program ends where it cannot run."""
    assert tracer.stdout is not None
    return any(line == "ready\n" for line in iter(tracer.stdout.readline, ""))


def _reason(text: str) -> str:
    lines = text.strip().splitlines()
    told = [line.partition("ERROR: ")[2] for line in lines if "ERROR: " in line] or lines
    return told[-1][:120] if told else "it says nothing"
