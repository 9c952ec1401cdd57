"""The system calls that can be subscribed, as one table the kernel programs and the engine share.

The table is `calls.tsv`, a call a line: a call that needs no new kind of capture is added there
alone. Names, type ids, categories and attributes are Kindling's, as far as it has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from pathlib import Path

from engine.probe.schema import Attribute, completed, parse


class Category(IntEnum):
    """Kindling's categories; the value is the matrix column."""

    OTHER = 1
    FILE = 2
    NET = 3
    IPC = 4
    WAIT = 5
    SIGNAL = 6
    SLEEP = 7
    TIME = 8
    PROCESS = 9
    SCHEDULER = 10
    MEMORY = 11
    USER = 12
    SYSTEM = 13

    @property
    def label(self) -> str:
        """The category as users write it."""
        return self.name.lower()


BY_FD = (Category.FILE, Category.NET, Category.IPC, Category.OTHER)
"""Categories of a call that is judged by what its file descriptor is."""


class FdType(IntEnum):
    """Kindling's fd types."""

    UNKNOWN = 0
    FILE = 1
    DIRECTORY = 2
    IPV4_SOCK = 3
    IPV6_SOCK = 4
    IPV4_SERVSOCK = 5
    IPV6_SERVSOCK = 6
    FIFO = 7
    UNIX_SOCK = 8
    EVENT = 9
    UNSUPPORTED = 10
    SIGNALFD = 11
    EVENTPOLL = 12
    INOTIFY = 13
    TIMERFD = 14
    NETLINK = 15


class CallFlag(IntFlag):
    """Traits of a call the programs ask for."""

    KNOWN = 1
    """Marks a filled slot of the calls map."""
    RETURNS_FD = 2
    FD_GONE = 4
    """At exit the descriptor no longer says what it was."""


NO_FD_ARGUMENT = 255
EXTENSION = -1
"""In place of Kindling's type id, for calls it has none for."""
FIRST_OWN_ROW = 400
"""Rows from here on belong to calls that have no row of Kindling's to themselves."""

_TABLE = Path(__file__).with_name("calls.tsv")
_BY_DESCRIPTOR = "fd"
_NEVER_RETURNS = "!"
_NONE = "-"
_GENERIC_ID = 0
"""Kindling's id of all the calls that it does not take apart."""


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: how it is named, judged and captured."""

    name: str
    help: str
    number: int | None
    """On x86-64; None where that has no such call."""
    type_id: int
    """Kindling's id of the enter event, the exit's is one more; EXTENSION if it has none."""
    row: int
    """Of the enter event in the matrix; the exit's is the next."""
    category: Category | None
    """None: by fd."""
    fd_argument: int
    flags: CallFlag
    emitted: str
    """Name in the record."""
    returns: bool
    """Whether there is an exit to be seen."""
    enter: tuple[Attribute, ...]
    exit: tuple[Attribute, ...]

    @property
    def generic(self) -> bool:
        """Whether Kindling knows it only as one of those it calls `syscall`."""
        return self.type_id == _GENERIC_ID


def _read_table() -> Iterator[Call]:
    """Every call, in the order of the table.

    Calls that share Kindling's id get rows of their own but for the first, and so do those for
    which Kindling has none.
    """
    taken = {_GENERIC_ID, EXTENSION}
    own_row = FIRST_OWN_ROW
    for line in _TABLE.read_text("ascii").splitlines():
        if line.startswith("#"):
            continue
        name, number, kindling, emitted, category, fd, enter, leave, text = line.split("\t")
        type_id = EXTENSION if kindling == "ext" else int(kindling)
        if type_id in taken:
            row, own_row = own_row, own_row + 2
        else:
            row = type_id
            taken.add(type_id)
        on_enter = () if enter == _NONE else parse(enter)
        on_exit = () if leave in (_NONE, _NEVER_RETURNS) else parse(leave)
        flags = CallFlag.RETURNS_FD if fd.endswith("r") else CallFlag(0)
        if name == "close":
            flags |= CallFlag.FD_GONE
        yield Call(
            name,
            text,
            None if number == _NONE else int(number),
            type_id,
            row,
            None if category == _BY_DESCRIPTOR else Category[category.upper()],
            int(fd[0]) if fd[0].isdecimal() else NO_FD_ARGUMENT,
            flags,
            name if emitted == _NONE or type_id == _GENERIC_ID else emitted,
            leave != _NEVER_RETURNS,
            completed(on_enter, on_exit),
            completed(on_exit, on_enter),
        )


CALLS: tuple[Call, ...] = tuple(_read_table())
"""Every call, in the order it is listed: Kindling's, then the extensions."""
