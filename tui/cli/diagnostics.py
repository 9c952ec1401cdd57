"""The one writer to stderr, and the owner of exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.core.errors import BoxscopeError, FailedError, RequirementError
from engine.engine import Engine

INTERRUPTED = 130


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; the command prints its statistics and ends with 130."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into Interrupted in the main thread, once."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        for known in previous:
            signal.signal(known, signal.SIG_IGN)
        raise Interrupted

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {number: signal.signal(number, interrupt) for number in wanted}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Tell the person in front of the terminal something that is not output."""
    sys.stderr.write(f"boxscope: {text}\n")


def report(error: BoxscopeError) -> int:
    """Print an error and what to do about it; returns the exit code."""
    say(error.message)
    if error.fix:
        sys.stderr.write(f"  {error.fix}\n")
    return error.exit_code


def report_failure(engine: Engine, source: str) -> int:
    """Say why a source could not run, if it could not; returns the exit code.

    A command that lives from one source fails with it: 3 where a right or a dependency is
    missing (there is a fix to type), 1 otherwise.
    """
    status = engine.snapshot().sources.get(source)
    if status is None or status.state != "failed":
        return 0
    error = RequirementError if status.fix else FailedError
    return report(error(status.reason, fix=status.fix))


def leave_quietly() -> None:
    """After the reader of stdout has gone: keep the interpreter from complaining at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
