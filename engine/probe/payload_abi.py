"""What the payload programs and the engine agree on: the structures of `bpf/payload.c`."""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

from engine.probe.bpfsys import highest_cpu

PAYLOAD = struct.Struct("<QQQQIIiIIIHBBB3xHHHxx16s16s16s")
"""struct payload: ts, entered, length, inode, tgid, tid, fd, captured, message, left out, protocol,
kind, outgoing, flags, then struct tuple, then comm."""

PAYLOAD_STATS = struct.Struct("<QQQQ")
"""struct payload_stats: produced, dropped, faults, messages left out."""

PAYLOAD_CONFIG = struct.Struct("<Q")
"""struct payload_config: bytes captured of each."""

PAYLOAD_TGIDS = 4096
PAYLOAD_RING_BYTES = 4 << 20
PAYLOAD_WAKE_EVERY = 256
PAYLOAD_CAP_MAX = 16384
"""Bytes captured of one payload, at most."""
PAYLOAD_VECTORS = 16
"""Vectors joined of one message, at most."""
PAYLOAD_MESSAGE_VECTORS = 4
"""Likewise, where a call transfers several messages."""
PAYLOAD_MESSAGES = 8
"""Messages told of one sendmmsg or recvmmsg, at most."""


class PayloadKind(IntEnum):
    """What a call did to a socket."""

    DATA = 1
    ACCEPT = 2
    CONNECT = 3
    CLOSE = 4


class Lack(IntFlag):
    """What a payload lacks."""

    DATA = 1
    """Some memory could not be read."""
    SOCKET = 2
    """The descriptor was closed while the call was on its way: no addresses."""


class PayloadSlot(IntEnum):
    """Per-program slot of the counters."""

    PAYLOAD_ENTER = 0
    PAYLOAD_EXIT = 1
    PAYLOAD_MESSAGES = 2


def payload_definitions() -> dict[str, int]:
    """The definitions `bpf/payload*.c` ask for beside those of `engine.probe.definitions`."""
    shared: dict[str, int] = {
        "PAYLOAD_TGIDS": PAYLOAD_TGIDS,
        "PAYLOAD_WAKE_EVERY": PAYLOAD_WAKE_EVERY,
        "PAYLOAD_SIZE": PAYLOAD.size,
        "PAYLOAD_SLOTS": len(PayloadSlot),
        "PAYLOAD_CAP_MAX": PAYLOAD_CAP_MAX,
        "PAYLOAD_VECTORS": PAYLOAD_VECTORS,
        "PAYLOAD_MESSAGE_VECTORS": PAYLOAD_MESSAGE_VECTORS,
        "PAYLOAD_MESSAGES": PAYLOAD_MESSAGES,
        "CPUS": highest_cpu() + 1,
    }
    for prefix, numbers in (("PAYLOAD", PayloadKind), ("LACKS", Lack), ("SLOT", PayloadSlot)):
        shared |= {f"{prefix}_{name}": int(value) for name, value in numbers.__members__.items()}
    return shared
