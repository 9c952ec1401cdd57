"""The one writer to stderr, and the owner of exit codes."""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

from engine.core.errors import (
    RAISE_THE_LIMIT,
    TOO_MANY_FILES,
    BoxscopeError,
    FailedError,
    RequirementError,
)
from engine.core.progress import Tasks, progress_text
from engine.core.sanitise import clean

INTERRUPTED = 130
_TELL_S = 0.2
_CLEAR_LINE = "\x1b[K"
_LONGEST = 1 << 16
_ESCAPED = "boxscope-escaped"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""What a write fails with where the output goes to a disk."""
Handler = Callable[[int, FrameType | None], object] | int | None


class Interruption:
    """Notes SIGINT, SIGTERM and SIGHUP instead of tearing the work apart half-way.

    SIGHUP stays ignored where whoever started us wants that.

    Use as a context manager and look at `asked`. A second signal ends the process the ordinary
    way, should the first not be heeded. (A plain flag: a lock taken in a handler can deadlock.)
    """

    def __init__(self) -> None:
        self.asked = False
        self._previous: dict[signal.Signals, Handler] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue  # started by nohup
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)


def say(text: str) -> None:
    """Tell the person in front of the terminal something that is not output."""
    sys.stderr.write(f"boxscope: {_harmless(text)}\n")


def report(error: BoxscopeError) -> int:
    """Print an error and what to do about it; returns the exit code."""
    say(error.message)
    if error.fix:
        sys.stderr.write(f"  {_harmless(error.fix)}\n")
    return error.exit_code


def _harmless(text: str) -> str:
    """A message with what it quotes, such as a file's name, made safe to show, line by line."""
    return "\n".join(clean(line, _LONGEST) for line in text.split("\n"))


@contextmanager
def waiting(tasks: Tasks) -> Iterator[None]:
    """Tell on a terminal what takes long, and how far it is, as long as the context lasts."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()
    teller = threading.Thread(target=_tell, args=(tasks, over), name="progress", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(tasks: Tasks, over: threading.Event) -> None:
    """Write one line again and again, and wipe it out in the end."""
    told = False
    while not over.wait(_TELL_S):
        long = [task for task in tasks.facts() if task.is_long]
        if long:
            told = True
            sys.stderr.write(f"\r{_CLEAR_LINE}boxscope: {_harmless(progress_text(long[0]))}")
            sys.stderr.flush()
    if told:
        sys.stderr.write(f"\r{_CLEAR_LINE}")
        sys.stderr.flush()


def leave_quietly() -> None:
    """After the reader of stdout has gone: keep the interpreter from complaining at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)


def report_refused(refused: OSError) -> int:
    """Tell that a disk is full, that no more files may be open, or that /proc is missing.

    Returns the exit code; any other error is raised again.
    """
    if str(refused.filename).startswith("/proc/self/") and not os.path.exists("/proc/self"):
        return report(RequirementError("/proc is not mounted", fix="mount -t proc proc /proc"))
    if refused.errno in TOO_MANY_FILES:
        what = "" if refused.filename is None else f": {refused.filename}"
        return report(FailedError(f"{refused.strerror}{what}", fix=RAISE_THE_LIMIT))
    if refused.errno not in _FULL:
        raise refused
    if refused.filename is not None:  # stdout has no name
        return report(FailedError(f"cannot write {refused.filename}: {refused.strerror}"))
    leave_quietly()
    return report(FailedError(f"cannot write the output: {refused.strerror}"))


def prepare_streams() -> None:
    """Make stdout and stderr take whatever is written, wherever this was started."""
    open_missing_streams()
    codecs.register_error(_ESCAPED, _escaped)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def _escaped(error: UnicodeError) -> tuple[str, int]:
    """What an encoding, such as that of an old locale, has no letters for, as JSON spells it."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    pairs = zip(units[::2], units[1::2], strict=True)
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in pairs), error.end


def open_missing_streams() -> None:
    """Let stdout and stderr lead nowhere where whoever started us has closed them.

    Otherwise the next file that is opened would take their number, and have their text.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_WRONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            setattr(sys, name, open(number, "w", closefd=False))  # noqa: SIM115
