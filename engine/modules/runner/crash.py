"""Why a module's process is gone, out of its exit status and its last words on stderr."""

from __future__ import annotations

import os
import re
import signal
from typing import Literal, NamedTuple

_WINDOW = 64 * 1024
"""How much of stderr is looked at; a Go runtime prints the reason first, then every goroutine."""
_REASON = re.compile(
    r"^(?:panic: |fatal error: |SIG[A-Z]+: |runtime: out of memory|terminate called)"
)
_FRAME = re.compile(r"^([\w./%~*()\[\]·-]+)\(.*\)$")
_PLACE = re.compile(r"^\t(\S+:\d+)")
_NOT_ITS_OWN = ("panic", "runtime.", "runtime/", "plugin.", "reflect.", "internal/", "sync.")


class Crash(NamedTuple):
    """What a process left behind when it ended by itself."""

    event: Literal["panicked", "exited"]
    """Whether it was struck down, or called exit."""
    text: str
    """What happened, in the words of the runtime if it said any."""
    frame: str = ""
    """The first function of the module on the stack, with file and line where they are told."""


def describe(status: int, stderr: int, begun_at: int, plugin_path: str = "") -> Crash:
    """Explain the end of a process.

    Args:
        status: Its exit code; a signal's number as a negative one.
        stderr: Descriptor of the file it wrote its errors to.
        begun_at: Size of that file when it was started.
        plugin_path: Import path of a Go plugin, whose frames are preferred.
    """
    try:
        text = os.pread(stderr, _WINDOW, begun_at).decode("utf-8", "replace")
    except OSError:
        text = ""
    lines = text.splitlines()
    said = next((number for number, line in enumerate(lines) if _REASON.match(line)), None)
    how = how_it_ended(status)
    if said is None:
        return Crash("exited" if status >= 0 else "panicked", how)
    return Crash("panicked", f"{lines[said]} ({how})", first_frame(lines[said:], plugin_path))


def first_frame(lines: list[str], plugin_path: str = "") -> str:
    """The first frame of a Go stack that is not the runtime's; the plugin's own if it has one."""
    frames = []
    for number, line in enumerate(lines):
        found = _FRAME.match(line)
        if found is None or found[1].startswith(_NOT_ITS_OWN):
            continue
        place = _PLACE.match(lines[number + 1]) if number + 1 < len(lines) else None
        frames.append(f"{found[1]} at {os.path.basename(place[1])}" if place else found[1])
    own = [frame for frame in frames if plugin_path and frame.startswith(plugin_path + ".")]
    return next(iter(own or frames), "")


def how_it_ended(status: int) -> str:
    """`exit code 2` or `SIGSEGV`."""
    if status >= 0:
        return f"exit code {status}"
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
