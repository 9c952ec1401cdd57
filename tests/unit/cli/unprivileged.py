"""Run as root: `boxscope` with the arguments given, as an unprivileged user runs it.

What it imports late is imported before, as the user may not be able to read the files.
"""

from __future__ import annotations

import ctypes
import os

import engine.discovery.explain
import engine.discovery.watcher
import engine.live  # noqa: F401
import tui.cli.output  # noqa: F401
from tui.cli.main import run

NOBODY = 65534
_PR_SET_DUMPABLE = 4


def main() -> None:
    """Give up root and run."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
    run()


if __name__ == "__main__":
    main()
