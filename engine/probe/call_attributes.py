"""The attributes of system calls out of their arguments and captured memory."""

from __future__ import annotations

import os
import socket

from engine.core.sanitise import clean
from engine.probe.abi import TUPLE, EventFlag, SectionKind
from engine.probe.calls import CALLS, FdType
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.values import O_TMPFILE, endpoint, family_name, open_flags, signed, sockaddr

_UNRESOLVED = int(EventFlag.UNRESOLVED)
_MISSING = int(EventFlag.MISSING)
_FD_TYPES = {kind.value: kind.name.lower() for kind in FdType}


def opened(raw: Raw) -> Attributes:
    """openat: `name`, `flags`, `dirfd` (AT_FDCWD is -100), and `mode` where one is used."""
    bits = raw.args[2] & 0xFFFFFFFF
    made: Attributes = {}
    _put_text(made, "name", raw)
    made["flags"] = open_flags(bits)
    made["dirfd"] = signed(raw.args[0])
    if bits & os.O_CREAT or bits & O_TMPFILE == O_TMPFILE:
        made["mode"] = f"{raw.args[3] & 0o7777:#o}"
    return made


def transferred(raw: Raw) -> Attributes:
    """read, write: `size` asked for, `fd_type`."""
    made: Attributes = {"size": raw.args[2], "fd_type": _FD_TYPES[raw.fd_type]}
    if raw.flags & _UNRESOLVED:
        made["unresolved"] = True
    return made


def judged(raw: Raw) -> Attributes:
    """close: `fd_type`."""
    made: Attributes = {"fd_type": _FD_TYPES[raw.fd_type]}
    if raw.flags & _UNRESOLVED:
        made["unresolved"] = True
    return made


def connected(raw: Raw) -> Attributes:
    """connect: `family` and `address` as the caller gave them."""
    payload = raw.section(SectionKind.SOCKADDR)
    if len(payload) < 2:
        return {"family": None, "address": None, "missing": ["address"]}
    family = int.from_bytes(payload[:2], "little")
    return {"family": family_name(family), "address": sockaddr(family, payload)}


def accepted(raw: Raw) -> Attributes:
    """accept, accept4: `family`, `peer` and `local` of the new socket; nothing if it failed."""
    if raw.flags & _MISSING:
        return {"peer": None, "local": None, "missing": ["peer", "local"]}
    payload = raw.section(SectionKind.TUPLE)
    if not payload:
        return {}
    family, local_port, remote_port, local, remote = TUPLE.unpack_from(payload)
    made: Attributes = {"family": family_name(family)}
    if family in (socket.AF_INET, socket.AF_INET6):
        made["peer"] = endpoint(family, remote, remote_port)
        made["local"] = endpoint(family, local, local_port)
    return made


def executed(raw: Raw) -> Attributes:
    """execve: `filename`."""
    made: Attributes = {}
    _put_text(made, "filename", raw)
    return made


def _put_text(made: Attributes, name: str, raw: Raw) -> None:
    text = raw.first_text()
    if text is None:
        made[name] = None
        made["missing"] = [name]
    else:
        made[name] = clean(text)


def _decoders() -> dict[int, Decoder]:
    of_call: dict[str, Decoder] = {
        "openat": opened,
        "close": judged,
        "read": transferred,
        "write": transferred,
        "connect": connected,
        "accept": accepted,
        "accept4": accepted,
        "execve": executed,
    }
    by_row: dict[int, Decoder] = {}
    for call in CALLS:
        by_row[call.type_id] = by_row[call.type_id + 1] = of_call[call.name]
    return by_row


CALL_DECODERS = _decoders()
"""The decoder of each row that is a system call's."""
