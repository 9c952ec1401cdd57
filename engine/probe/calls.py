"""The system calls that can be subscribed, as one table the kernel programs and the engine share.

A call that needs no new kind of capture is added here alone. Type ids and categories are
Kindling's.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag


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


class Capture(IntEnum):
    """What a program reads beside the registers."""

    NONE = 0
    PATH = 1
    """The string an argument points to."""
    SOCKADDR = 2
    """The socket address an argument points to, its length being the next argument."""
    PEER = 3
    """Both addresses of the socket the call returned."""
    EXEC = 4
    """The file name of an execve: from the argument if it failed, from the new stack if not."""


class CallFlag(IntFlag):
    """Traits of a call the programs ask for."""

    KNOWN = 1
    """Marks a filled slot of the calls map."""
    RETURNS_FD = 2
    FD_GONE = 4
    """At exit the descriptor no longer says what it was."""


_NO_FLAGS = CallFlag(0)
NO_FD_ARGUMENT = 255


@dataclass(frozen=True, slots=True)
class Call:
    """A system call: how it is named, judged and captured."""

    name: str
    help: str
    number: int
    """On x86-64."""
    type_id: int
    """Kindling's id of the enter event; the exit's is one more."""
    category: Category | None
    """None: by fd."""
    fd_argument: int = NO_FD_ARGUMENT
    enter: Capture = Capture.NONE
    exit: Capture = Capture.NONE
    argument: int = 0
    """Which argument a capture starts from."""
    flags: CallFlag = _NO_FLAGS
    emitted: str = ""
    """Name in the record, where it is not `name`."""
    enter_attributes: tuple[str, ...] = ()
    exit_attributes: tuple[str, ...] = ()


_FILE, _NET, _PROCESS = Category.FILE, Category.NET, Category.PROCESS
_RETURNS_FD = CallFlag.RETURNS_FD
_OPEN = ("name", "flags", "dirfd", "mode")
_ADDRESS = ("family", "address")
_PEER = ("family", "peer", "local")

CALLS: tuple[Call, ...] = (
    Call(
        "openat",
        "open a path",
        257,
        306,
        _FILE,
        enter=Capture.PATH,
        exit=Capture.PATH,
        argument=1,
        flags=_RETURNS_FD,
        enter_attributes=_OPEN,
        exit_attributes=_OPEN,
    ),
    Call(
        "close",
        "close a file descriptor",
        3,
        4,
        None,
        0,
        flags=CallFlag.FD_GONE,
        enter_attributes=("fd_type",),
        exit_attributes=("fd_type",),
    ),
    Call(
        "read",
        "read from a file descriptor",
        0,
        6,
        None,
        0,
        enter_attributes=("size", "fd_type"),
        exit_attributes=("size", "fd_type"),
    ),
    Call(
        "write",
        "write to a file descriptor",
        1,
        8,
        None,
        0,
        enter_attributes=("size", "fd_type"),
        exit_attributes=("size", "fd_type"),
    ),
    Call(
        "connect",
        "connect a socket",
        42,
        22,
        _NET,
        0,
        enter=Capture.SOCKADDR,
        exit=Capture.SOCKADDR,
        argument=1,
        enter_attributes=_ADDRESS,
        exit_attributes=_ADDRESS,
    ),
    Call(
        "accept",
        "take a connection",
        43,
        246,
        _NET,
        0,
        exit=Capture.PEER,
        flags=_RETURNS_FD,
        exit_attributes=_PEER,
    ),
    Call(
        "accept4",
        "take a connection, with flags",
        288,
        248,
        _NET,
        0,
        exit=Capture.PEER,
        flags=_RETURNS_FD,
        emitted="accept",
        exit_attributes=_PEER,
    ),
    Call(
        "execve",
        "replace the process image",
        59,
        292,
        _PROCESS,
        enter=Capture.EXEC,
        exit=Capture.EXEC,
        enter_attributes=("filename",),
        exit_attributes=("filename",),
    ),
)
