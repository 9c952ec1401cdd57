"""The attributes of events that are not system calls."""

from __future__ import annotations

from engine.probe.abi import TUPLE, SectionKind
from engine.probe.hooks import PROCEXIT, TCP_SET_STATE
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.values import endpoint, signal_name, tcp_state


def exited(raw: Raw) -> Attributes:
    """procexit: `status` (the kernel's word), `exit_code` or `signal`, `group_dead`."""
    status = raw.args[0]
    number = status & 0x7F
    made: Attributes = {
        "status": status,
        "exit_code": None if number else status >> 8 & 0xFF,
        "signal": signal_name(number) if number else None,
        "group_dead": bool(raw.args[1]),
    }
    if status & 0x80:
        made["core_dumped"] = True
    return made


def changed_state(raw: Raw) -> Attributes:
    """tcp_set_state: `src` (this end), `dst` (the other), the states, `ctx_tid`.

    `ctx_tid` is the thread the processor was running, which need not have to do with the socket.
    """
    family, local_port, remote_port, local, remote = TUPLE.unpack(raw.section(SectionKind.TUPLE))
    return {
        "src": endpoint(family, local, local_port),
        "dst": endpoint(family, remote, remote_port),
        "old_state": tcp_state(raw.args[0]),
        "new_state": tcp_state(raw.args[1]),
        "ctx_tid": raw.args[2],
    }


HOOK_DECODERS: dict[int, Decoder] = {
    PROCEXIT.row: exited,
    TCP_SET_STATE.row: changed_state,
}
"""The decoder of each row that is not a system call's."""
