"""What the kernel programs and the engine agree on: record layouts, flags and sizes.

The structures are those of the C text in `bpf/`; the numbers reach it as compiler definitions.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

from engine.probe.calls import Call, CallFlag
from engine.probe.catalogue import EVENTS
from engine.probe.events import COLUMNS
from engine.probe.schema import SNAPLEN_MAX, STEPS, Capture, Step, steps

EVENT = struct.Struct("<QQqQQQQQQIIIIiIQHHBBH16s")
"""struct event: ts, latency, result, args[6], tgid, tid, uid, gid, fd, payload length, cgroup id,
row, cpu, category, fd type, flags, comm."""

SECTION = struct.Struct("<BBH")
"""struct section: kind, argument, length; its bytes follow, padded to 4."""

TUPLE = struct.Struct("<HHHxx16s16s")
"""struct tuple: family, local port, remote port, local address, remote address."""

_STEP = "BBBBHH"
CALL = struct.Struct(f"<HBBI{_STEP * 2 * STEPS}")
"""struct call: row, category, fd argument, flags, the steps on enter and on exit, each what,
argument, count, flags, item, most."""

FD_SOCKET = struct.Struct("<QHHBBxxHHHxx16s16s")
"""struct fd_socket: inode, protocol, type, state, role, and its struct tuple."""

FD_UNIX = struct.Struct("<QQHBBxxxx")
"""struct fd_unix: inode, the peer's inode, type, state, role; a name may follow."""

CONFIG = struct.Struct("<IIIII")
"""struct config: own tgid, scope, whether names are excluded, rules, number of the choice."""

COMM = struct.Struct("16s")
"""struct comm: a thread's name, padded with NULs."""

STATS = struct.Struct("<QQQQQQQ")
"""struct stats: produced, dropped, faults, unresolved, suppressed, unfollowed, unowned."""

DELIVERED = struct.Struct(f"<{COLUMNS}Q")
"""struct delivered: events handed to the ring, by category; in the last column those it had no
room for. One for each row."""

OWNER = struct.Struct("<QQQIIII16sIBBBx")
"""struct owner: cgroup id, born, connecting, tgid, tid, uid, gid, comm, generation, how, role,
closed."""

LISTENER = struct.Struct("<IHxx16s")
"""struct listener: network namespace, port, address."""

SETTINGS = struct.Struct("<QII")
"""struct hook_settings: segment interval, fault interval, generation."""

FACTS = struct.Struct("<QQQQIIIxxxx")
"""struct facts: virtual memory in KiB, major and minor faults, limit of descriptors, tid, pid,
parent's pid."""

NO_FD = -100_000
"""Kindling's number for an event without a file descriptor."""

CALLS = 512
COUNTED_ROWS = max(event.row for event in EVENTS) + 1
PIDS = 16384
COMMS = 64
CALLS_IN_FLIGHT = 16384
CLOSING = 4096
"""Calls in flight that close a descriptor of which the exit is to tell."""
OWNED_SOCKETS = 16384
LISTENERS = 4096
PENDING_SIGNALS = 8192
FAULT_KINDS = 8192
RUNS = 4096
"""Threads whose time is told apart at once."""
WAKE_EVERY = 8192


class EventFlag(IntFlag):
    """Flags of an event."""

    LATENCY = 1
    """`latency` is meaningful: the enter of this very call was seen."""
    MISSING = 2
    """The captured memory could not be read."""
    UNRESOLVED = 4
    """The file descriptor could not be judged; the category is `other` for want of a better."""
    NO_OWNER = 8
    """The current thread was merely interrupted; it did not cause the event."""


class SectionKind(IntEnum):
    """What the bytes of a section are."""

    TEXT = 1
    """A string as the program had it, with its NUL."""
    SOCKADDR = 2
    """A struct sockaddr."""
    TUPLE = 3
    """A struct tuple of this probe."""
    DATA = 4
    """Bytes that a call read or wrote."""
    STRUCT = 5
    """A structure or an array of them, as the program had it."""
    ARGV = 6
    """A program's arguments, each with its NUL."""
    FACTS = 7
    """A struct facts of this probe."""
    FD_PATH = 20
    """Names from an open file up to the root, each with its NUL; the argument is a PathMark."""
    FD_INODE = 21
    """Number of an inode without a path, and what is known of its kind; the argument is an
    InodeKind."""
    FD_SOCKET = 22
    """A struct fd_socket."""
    FD_UNIX = 23
    """A struct fd_unix, and the name it or else its peer is bound to."""
    LIST = 32
    """Numbers one behind the other; the argument is a TimeList."""


class PathMark(IntFlag):
    """What is to be said of a path beside its names."""

    CUT = 1
    """There are more names above."""
    DELETED = 2
    LOOSE = 4
    """In no directory: a memory file or an anonymous inode."""


class InodeKind(IntEnum):
    """What an inode without a path is."""

    PIPE = 0
    PROCESS = 1
    NAMESPACE = 2


class Scope(IntFlag):
    """What a thread has to be to be seen; processes and threads widen each other."""

    PROCESSES = 1
    THREADS = 2
    NAMES = 4


class Rule(IntFlag):
    """Which results of calls are seen."""

    FAILED = 1
    """Only negative ones."""
    KINDLING = 2
    """Only positive ones, of calls judged by their descriptor."""


class Pid(IntFlag):
    """What a number in the `pids` map stands for."""

    PROCESS = 1
    THREAD = 2
    FOLLOWED = 4
    """Put there by the kernel, as the child of a chosen process."""


class Comm(IntFlag):
    """What a name in the `comms` map is."""

    CHOSEN = 1
    EXCLUDED = 2


class Slot(IntEnum):
    """Per-program slot of the counters and scratch buffers."""

    ENTER = 0
    EXIT = 1
    PROCEXIT = 2
    TCP = 3
    FOLLOW = 4
    TCP_DESTROY = 5
    TCP_SEGMENT = 6
    TCP_RETRANSMIT = 7
    TCP_SEND_RESET = 8
    TCP_RECEIVE_RESET = 9
    SKB_DROP = 10
    PROCESS_EXEC = 11
    PROCESS_FORK = 12
    TASK_NEWTASK = 13
    TASK_RENAME = 14
    MARK_VICTIM = 15
    SIGNAL_DELIVER = 16
    PAGE_FAULT = 17
    INGRESS = 18
    EGRESS = 19
    CPU_SWITCH = 20
    CPU_EXIT = 21
    SCHED_SWITCH = 22
    TCP_SYNACK = 23


class TimeList(IntEnum):
    """Which list of a thread's time a section is."""

    LENGTHS = 0
    """Of each segment, in ns; 64 bits."""
    QUEUE = 1
    """Of each wait, how long the thread could have run, in us; 64 bits."""
    TYPES = 2
    """Of each segment; 8 bits."""
    WAKERS = 3
    """Of each wait, the thread that ended it; 32 bits."""
    REASONS = 4
    """Of each wait, the state the thread was left in; 32 bits."""


class Provenance(IntEnum):
    """How the owner of a socket is known."""

    SOCKET = 1
    """A thread of it was seen holding the socket."""
    ACCEPTED = 2
    """It listens where the connection arrived, and nobody has used the connection yet."""
    SEEDED = 3
    """It had the socket open when the subscription began."""


class Role(IntEnum):
    """Which side of a connection a socket is."""

    CLIENT = 1
    SERVER = 2
    LISTENER = 3


def pack_call(call: Call, snaplen: int) -> bytes:
    """What the programs know of a call.

    Args:
        call: The call.
        snaplen: Bytes kept of what it reads or writes, at most SNAPLEN_MAX.
    """
    fields: list[int] = [call.row, call.category or 0, call.fd_argument]
    fields.append(call.flags | CallFlag.KNOWN)
    for attributes in (call.enter, call.exit):
        made = steps(attributes, min(snaplen, SNAPLEN_MAX))
        for step in made + (Step(Capture.NONE),) * (STEPS - len(made)):
            fields += step
    return CALL.pack(*fields)
