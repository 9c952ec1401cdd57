"""A process that makes system calls when told to, so that tests know what must be seen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Self

from tests.waiting import wait_until

_SCRIPT = Path(__file__).with_name("actor_process.py")


class Actor:
    """The tests' side: a child process and its pid.

    Args:
        script: What it runs.
    """

    def __init__(self, script: Path = _SCRIPT) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-E", "-S", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.pid = self._child.pid
        self.do("nothing")

    def tell(self, command: str, *arguments: object) -> None:
        """Give a command without waiting."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps([command, *arguments]).encode() + b"\n")
        self._child.stdin.flush()

    def answer(self) -> object:
        """Wait until the command is done; returns what it answered."""
        assert self._child.stdout is not None
        return json.loads(self._child.stdout.readline())

    def do(self, command: str, *arguments: object) -> object:
        """Give a command and wait until it is done."""
        self.tell(command, *arguments)
        return self.answer()

    def wait_idle(self) -> None:
        """Wait until it is blocked in the read of its next command."""
        current = Path(f"/proc/{self.pid}/syscall")
        wait_until(lambda: current.read_text().startswith("0 0x0 "))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._child as child:
            child.terminate()
