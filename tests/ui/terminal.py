"""A program in a pseudo-terminal, for tests that care about the bytes."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

DEADLINE_S = 20.0


class Terminal:
    """Runs `python -m MODULE ARGUMENTS` on a terminal of its own and reads what it writes."""

    def __init__(
        self,
        module: str,
        *arguments: str,
        size: tuple[int, int] = (160, 45),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.written = b""
        # Not os.execv: readline sets COLUMNS and LINES where os.environ does not see it.
        variables = {**os.environ, "TERM": "xterm-256color", **(environment or {})}
        variables.pop("COLUMNS", None)
        variables.pop("LINES", None)
        self._status: int | None = None
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execve(sys.executable, [sys.executable, "-m", module, *arguments], variables)
        self.attributes_before = termios.tcgetattr(self._master)

    def press(self, keys: str) -> None:
        """Type something."""
        os.write(self._master, keys.encode())

    def resize(self, columns: int, rows: int) -> None:
        """Give the terminal another size, of which the program is told."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_what_is_there(self) -> None:
        """Read without waiting."""
        while self._read(0):
            pass

    def read_until_stopped(self) -> None:
        """Read until the program has been stopped; afterwards it can be sent SIGCONT."""
        deadline = time.monotonic() + DEADLINE_S
        while os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOHANG | os.WNOWAIT) is None:
            assert time.monotonic() < deadline, f"not stopped in {DEADLINE_S} s"
            self._read(0.01)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        self.read_what_is_there()

    def send(self, number: int) -> None:
        """Send the program a signal."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal under the program."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def attributes(self) -> list[object]:
        """The terminal's settings now."""
        return list(termios.tcgetattr(self._master))

    def read_until(self, wanted: bytes, *, after: int = 0) -> None:
        """Read until some bytes have come.

        Raises:
            AssertionError: if they do not come in time.
        """
        deadline = time.monotonic() + DEADLINE_S
        while self.written.find(wanted, after) < 0:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} did not come in {DEADLINE_S} s"
            assert self._read(left), f"the program ended before {wanted!r} came"

    def wait(self, *, reading: bool = True) -> int:
        """Read, or not, until the program ends; returns its exit code, negative for a signal."""
        deadline = time.monotonic() + DEADLINE_S
        descriptor = os.pidfd_open(self.pid)
        try:
            while self._status is None:
                left = deadline - time.monotonic()
                assert left > 0, f"the program did not end in {DEADLINE_S} s"
                watched = [descriptor]
                if reading and self._master >= 0:
                    watched.append(self._master)
                ready = select.select(watched, [], [], left)[0]
                if self._master in ready:
                    self._read(0)
                if descriptor in ready:
                    self._status = os.waitpid(self.pid, 0)[1]
        finally:
            os.close(descriptor)
        while self._master >= 0 and self._read(0):
            pass
        return os.waitstatus_to_exitcode(self._status)

    def _read(self, seconds: float) -> bool:
        if not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            received = os.read(self._master, 65_536)
        except OSError:
            return False
        self.written += received
        return bool(received)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._status is None:
            os.kill(self.pid, 9)
            os.waitpid(self.pid, 0)
        self.hang_up()
