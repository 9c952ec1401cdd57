"""Starting the runner's process, and ending it with all that descends from it."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import time
from contextlib import suppress
from typing import NamedTuple

from engine.modules.runner import containment
from engine.modules.runner.protocol import EVENTS_FD, RunSpec

REAP_S = 5.0
"""How long the end of killed processes is waited for."""
_FAILED = "\0"
"""Begins the answer of a child that could not become the runner."""
_OUT_OF_THE_WAY = EVENTS_FD + 10


class Runner(NamedTuple):
    """A runner's process, and the supervisor's ends of its pipes."""

    pid: int
    pidfd: int
    operations: int
    events: int
    """Not blocking, as `records`."""
    records: int
    shares_network: str
    """Why it has the network of the box; empty if it has one of its own."""

    def hand(self, line: bytes) -> None:
        """Write an operation to it; that it has ended will be noticed otherwise."""
        with suppress(BrokenPipeError):
            os.write(self.operations, line)

    def status(self) -> int:
        """The exit code of a runner that has ended; a signal's number as a negative one."""
        result = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        if result is None:
            return 0
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def start_runner(spec: RunSpec, stderr: int) -> Runner:
    """Start the runner; the calling process has one thread, so that forking it is safe.

    Args:
        spec: What is to be run.
        stderr: Descriptor of the file that takes what the module prints.

    Raises:
        OSError: it could not be confined, or its program cannot be executed.
    """
    theirs_operations, operations = os.pipe2(os.O_CLOEXEC)
    events, theirs_events = os.pipe2(os.O_CLOEXEC)
    records, theirs_records = os.pipe2(os.O_CLOEXEC)
    answered, answer = os.pipe2(os.O_CLOEXEC)
    supervisor = os.getpid()
    pid = os.fork()
    if pid == 0:
        pipes = (theirs_records, theirs_operations, theirs_events)
        _become_runner(spec, supervisor, stderr, pipes, answer)
    for theirs in (theirs_operations, theirs_events, theirs_records, answer):
        os.close(theirs)
    with os.fdopen(answered, encoding="utf-8", errors="replace") as told:
        shared, _, failed = told.read().partition(_FAILED)
    if failed:
        os.waitpid(pid, 0)
        raise OSError(0, failed)
    for descriptor in (events, records):
        os.set_blocking(descriptor, False)
    return Runner(pid, os.pidfd_open(pid), operations, events, records, shared)


def _become_runner(
    spec: RunSpec, supervisor: int, stderr: int, pipes: tuple[int, int, int], answer: int
) -> None:
    """In the forked child: never returns.

    Everything else that is open closes with the exec; what is to stay is moved out of the way of
    the numbers it gets first.
    """
    try:
        answer = _moved(answer)
        shared = containment.confine(supervisor, spec.limits, spec.cgroup)
        null = _moved(os.open(os.devnull, os.O_RDWR))
        stderr = _moved(stderr)
        records, operations, events = map(_moved, pipes)
        targets = (null, stderr, stderr, null, records, operations, events)
        for target, source in enumerate(targets):
            os.dup2(source, target, inheritable=True)
        os.write(answer, shared.encode())
        # After the answer, as an exec that fails has to be told too.
        os.execve(spec.runner[0], spec.runner, containment.environment(os.getcwd()))
    except BaseException as error:
        with suppress(OSError):
            os.write(answer, f"{_FAILED}{error}".encode("utf-8", "replace"))
    os._exit(127)


def _moved(descriptor: int) -> int:
    """The descriptor again under a number that is in nobody's way, closed by exec."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY)


def kill_descendants(runner: int) -> int:
    """Kill and collect all that descends from this process, a subreaper.

    Returns:
        How many there were beside the runner.
    """
    killed: set[int] = set()
    give_up = time.monotonic() + REAP_S
    while time.monotonic() < give_up:
        for pid in containment.descendants(os.getpid()):
            killed.add(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                select.poll().poll(1)
        except ChildProcessError:
            break
    return len(killed - {runner})
