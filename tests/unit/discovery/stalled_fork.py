"""A process whose creation stands still half way; run as a program it obeys, imported it drives.

The kernel gives a new process its number, then writes the number of its pidfd into the memory of
the creator, and makes the process visible after that. That memory is a page which a third process
fills only when it is told to (userfaultfd), so the creation waits for as long as one likes.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import subprocess
import sys
from types import TracebackType
from typing import Self

_USERFAULTFD, _CLONE3 = 323, 435
_UFFDIO_API, _UFFDIO_REGISTER, _UFFDIO_ZEROPAGE = 0xC018AA3F, 0xC020AA00, 0xC020AA04
_UFFD_API, _MISSING = 0xAA, 1
_CLONE_PIDFD = 0x1000
_SIGCHLD = 17


class StalledFork:
    """Begins to create a process at once; `finish` lets it come into being.

    Needs CAP_SYS_PTRACE, as it is the kernel that waits for the page.
    """

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-E", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._told() == "stalled"

    def finish(self) -> int:
        """Returns the pid, once the process is there."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"go\n")
        self._process.stdin.flush()
        return int(self._told())

    def _told(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()


def _say(what: object) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def _request(descriptor: int, number: int, *fields: int) -> None:
    """An ioctl of userfaultfd, whose fields are all of 64 bits."""
    content = ctypes.create_string_buffer(struct.pack(f"{len(fields)}q", *fields))
    if ctypes.CDLL(None).ioctl(descriptor, ctypes.c_ulong(number), content):
        raise OSError("userfaultfd")


def _fill_when_told(faults: int, page: int) -> None:
    """In the third process: say that somebody waits for the page, and fill it when told."""
    os.read(faults, 32)
    _say("stalled")
    sys.stdin.readline()
    _request(faults, _UFFDIO_ZEROPAGE, page, mmap.PAGESIZE, 0, 0)


def main() -> None:
    """Create the process, and keep it until stdin ends."""
    libc = ctypes.PyDLL(None)
    memory = mmap.mmap(-1, mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    faults = int(libc.syscall(_USERFAULTFD, os.O_CLOEXEC))
    _request(faults, _UFFDIO_API, _UFFD_API, 0, 0)
    _request(faults, _UFFDIO_REGISTER, page, mmap.PAGESIZE, _MISSING, 0)
    filler = os.fork()
    if not filler:
        _fill_when_told(faults, page)
        os._exit(0)
    held, holding = os.pipe()
    wanted = struct.pack("8q", _CLONE_PIDFD, page, 0, 0, _SIGCHLD, 0, 0, 0)
    pid = int(libc.syscall(_CLONE3, wanted, len(wanted)))
    if not pid:
        os.close(holding)
        os.read(held, 1)  # until the creator has ended
        os._exit(0)
    os.waitpid(filler, 0)
    _say(pid)
    sys.stdin.read()
    os.close(holding)
    os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
