"""The attributes of events that are not system calls."""

from __future__ import annotations

import errno
import struct

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.probe import hooks
from engine.probe.abi import TUPLE, EventFlag, Provenance, Role, SectionKind, TimeList
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.reasons import drop_reason, reset_reason
from engine.probe.task_values import clone_flags, fault_access, signal_code, task_state
from engine.probe.values import endpoint, signal_name, signed, tcp_state

_SYN_SENT, _ESTABLISHED = 2, 1
_TID_BITS = 0xFFFFFFFF
_HOW = {how.value: how.name.lower() for how in Provenance}
_ROLES = {role.value: role.name.lower() for role in Role}
_ACTIONS = ("default", "ignored", "handler")
_TIME_TYPES = {
    0: "on", 1: "disk", 2: "net", 3: "lock", 4: "idle", 5: "other", 6: "epoll",
}  # fmt: skip
_PROTOCOLS = {0x0800: "ipv4", 0x86DD: "ipv6", 0x0806: "arp", 0x8100: "vlan"}


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


def _connection(raw: Raw, attributes: Attributes) -> Attributes:
    """Both ends, what the event itself tells, and whose socket it is.

    `sip`, `sport` and `src` are this end. `ctx_tid` is the thread the processor was running,
    which need not have to do with the socket.
    """
    packed = raw.section(SectionKind.TUPLE)
    ends: Attributes = {"sip": None, "sport": None, "dip": None, "dport": None}
    source = destination = None
    if packed:
        family, local_port, remote_port, local, remote = TUPLE.unpack(packed)
        source = endpoint(family, local, local_port)
        destination = endpoint(family, remote, remote_port)
        ends = {
            "sip": _address(source),
            "sport": local_port,
            "dip": _address(destination),
            "dport": remote_port,
        }
    whose = raw.args[4]
    return {
        **ends,
        **attributes,
        "src": source,
        "dst": destination,
        "owner": _HOW.get(whose >> 32 & 0xFF),
        "role": _ROLES.get(whose >> 40 & 0xFF),
        "ctx_tid": whose & _TID_BITS,
    }


def _address(shown: str) -> str:
    """An endpoint without its port."""
    return shown.rpartition(":")[0].strip("[]")


def changed_state(raw: Raw) -> Attributes:
    """tcp_set_state: the states."""
    states: Attributes = {
        "old_state": tcp_state(raw.args[0]),
        "new_state": tcp_state(raw.args[1]),
    }
    return _connection(raw, states)


def connecting(raw: Raw) -> Attributes:
    """tcp_connect: `retval` as the kernel's function has it, `outcome` of the connection.

    `retval` is 0 once a SYN is out, and null if none went out: the call's result tells why.
    """
    state, error, sent = raw.args[:3]
    return _connection(
        raw, {"retval": 0 if sent else None, "outcome": _outcome(state, error, bool(sent))}
    )


def _outcome(state: int, error: int, sent: bool) -> str:
    if state == _SYN_SENT:
        return "no answer yet"
    if state == _ESTABLISHED:
        return "established"
    if error:
        return errno.errorcode.get(error) or str(error)
    return "given up" if sent else "not sent"


def closed(raw: Raw) -> Attributes:
    """tcp_close: smoothed `rtt` in us, `state` before, bytes sent and received, age."""
    age_ns = raw.args[5]
    return _connection(
        raw,
        {
            "rtt": raw.args[0],
            "state": tcp_state(raw.args[1]),
            "bytes_sent": raw.args[2],
            "bytes_received": raw.args[3],
            "age_ms": round(age_ns / 1e6, 3) if age_ns else None,
        },
    )


def segment(raw: Raw) -> Attributes:
    """tcp_rcv_established: smoothed `rtt` in us, bytes of data, congestion window."""
    return _connection(raw, {"rtt": raw.args[0], "data_len": raw.args[1], "cwnd": raw.args[2]})


def dropped(raw: Raw) -> Attributes:
    """tcp_drop: `reason` in the kernel's words; a drop is not always a loss."""
    return _connection(raw, {"reason": drop_reason(raw.args[0]), "state": tcp_state(raw.args[1])})


def dropped_datagram(raw: Raw) -> Attributes:
    """udp_drop: `reason` in the kernel's words."""
    return _connection(raw, {"reason": drop_reason(raw.args[0])})


def retransmitted(raw: Raw) -> Attributes:
    """tcp_retransmit_skb: `segs`, `state`, and `error` if it could not be sent."""
    segments, state, error = raw.args[:3]
    code = -signed(error)
    return _connection(
        raw,
        {
            "segs": segments,
            "state": tcp_state(state),
            "error": errno.errorcode.get(code, str(code)) if code > 0 else None,
        },
    )


def answered_again(raw: Raw) -> Attributes:
    """tcp_retransmit_synack: both ends of the connection that is not there yet."""
    return _connection(raw, {})


def sent_reset(raw: Raw) -> Attributes:
    """tcp_send_reset: `reason` in the kernel's words, `state` of the socket if there is one."""
    state, reason = raw.args[:2]
    return _connection(
        raw, {"reason": reset_reason(reason), "state": tcp_state(state) if state else None}
    )


def received_reset(raw: Raw) -> Attributes:
    """tcp_receive_reset: `state` of the socket when it came."""
    return _connection(raw, {"state": tcp_state(raw.args[0])})


def signalled(raw: Raw) -> Attributes:
    """signaldeliver: `sig`, who sent it (`spid`, `stid`, `scomm`), what the target does with it.

    `spid` is null for a signal that the kernel made. What ends a whole process is delivered as
    SIGKILL to each of its threads: `delivered_as` tells so where another signal was the cause,
    and `cause` where it was a thread that called exit_group.
    """
    number, code, both, sender_tid, action, packed = raw.args
    sender, target = both & _TID_BITS, both >> 32
    delivered, leaving, hidden = packed & 0xFF, bool(packed >> 8 & 1), bool(packed >> 9 & 1)
    made: Attributes = {
        "spid": sender or None,
        "dpid": target,
        "sig": number,
        "signal": signal_name(number),
        "code": None if hidden else signal_code(signed(code)),
        "action": _ACTIONS[action],
        "stid": sender_tid or None,
        "scomm": _text(raw, 0) if sender else None,
    }
    if delivered != number:
        made["delivered_as"] = signal_name(delivered)
    if leaving:
        made["cause"] = "exit_group"
    return made


def switched(raw: Raw) -> Attributes:
    """switch: the thread that runs `next`, the state and the page faults so far of this one."""
    following, state, major, minor, priority, preempted = raw.args
    return {
        "next": following,
        "pgft_maj": major,
        "pgft_min": minor,
        "state": task_state(state),
        "preempted": bool(preempted),
        "next_comm": _text(raw, 0),
        "next_prio": signed(priority),
    }


def timed(raw: Raw) -> Attributes:
    """cpu_event: segments of a thread's time, one behind the other from `start_time` on.

    `time_specs` are their lengths in ns, `time_type` what they are: on, or what was waited for.
    Of each wait, in order: `runq_latency` (us it could have run), `off_reason` (the state it was
    left in), `waker` (the thread that ended it; null if it never slept).
    """
    types = [_TIME_TYPES.get(one, str(one)) for one in _list(raw, TimeList.TYPES, "B")]
    lengths = _list(raw, TimeList.LENGTHS, "Q")
    waits = [index // 2 for index, kind in enumerate(types) if kind != "on"]
    queued, wakers, reasons = (
        [values[wait] for wait in waits]
        for values in (
            _list(raw, TimeList.QUEUE, "Q"),
            _list(raw, TimeList.WAKERS, "I"),
            _list(raw, TimeList.REASONS, "I"),
        )
    )
    on_ns = sum(length for length, kind in zip(lengths, types, strict=True) if kind == "on")
    return {
        "start_time": raw.wall_ns - sum(lengths),
        "end_time": raw.wall_ns,
        "time_specs": [*lengths],
        "runq_latency": [*queued],
        "time_type": [*types],
        "on_ns": on_ns,
        "off_ns": sum(lengths) - on_ns,
        "off_reason": [task_state(reason) for reason in reasons],
        "waker": [waker or None for waker in wakers],
    }


def passed(raw: Raw) -> Attributes:
    """ingress: the device, the packet's addresses, length and protocol."""
    length, protocol, source, destination, _, address = raw.args
    ends = raw.section(SectionKind.TUPLE)
    made: Attributes = {
        "dev": _text(raw, 0),
        "skb_addr": f"{address:#x}",
        "src_mac": _mac(source),
        "dst_mac": _mac(destination),
        "len": length,
        "protocol": _PROTOCOLS.get(protocol, f"{protocol:#06x}"),
        "src": None,
        "dst": None,
    }
    if ends:
        shown = _connection(raw, {})
        made["src"], made["dst"] = shown["dst"], shown["src"]
    return made


def sent_packet(raw: Raw) -> Attributes:
    """egress: as ingress, and whose packet it is."""
    made = passed(raw)
    made["src"], made["dst"] = made["dst"], made["src"]
    whose = _connection(raw, {})
    return made | {name: whose[name] for name in ("owner", "role", "ctx_tid")}


def faulted(raw: Raw) -> Attributes:
    """page_fault: `count` faults of this process and kind so far, of which every n-th is told."""
    address, instruction, error, count, every = raw.args[:5]
    return {
        "addr": f"{address:#x}",
        "ip": f"{instruction:#x}",
        "error": error,
        "access": fault_access(error),
        "count": count,
        "every": every,
    }


def executed(raw: Raw) -> Attributes:
    """process_exec: the program's `filename` and `argv`, the thread id before."""
    packed = raw.section(SectionKind.ARGV, 1)
    missing: list[JsonValue] = []
    if raw.flags & EventFlag.MISSING:
        missing = [
            name for name, there in (("filename", raw.first_text(0)), ("argv", packed)) if not there
        ]
    made: Attributes = {
        "filename": _text(raw, 0),
        "argv": [clean(word) for word in packed.removesuffix(b"\0").split(b"\0")]
        if packed
        else None,
        "old_tid": raw.args[0],
    }
    if missing:
        made["missing"] = missing
    return made


def forked(raw: Raw) -> Attributes:
    """process_fork: the child, and whether it is only a thread."""
    tid, pid = raw.args[:2]
    return {"child_pid": pid, "child_tid": tid, "thread": tid != pid}


def made_task(raw: Raw) -> Attributes:
    """task_newtask: as process_fork, and the flags of clone(2)."""
    return forked(raw) | {"clone_flags": clone_flags(raw.args[2])}


def renamed(raw: Raw) -> Attributes:
    """task_rename: the name before and after, and the thread that did it."""
    return {"old": _text(raw, 0), "new": _text(raw, 1), "by_tid": raw.args[0]}


def victim(raw: Raw) -> Attributes:
    """oom_victim: its virtual memory and its inclination to be chosen."""
    return {"total_vm_kib": raw.args[0], "oom_score_adj": signed(raw.args[1])}


def _text(raw: Raw, argument: int) -> str | None:
    text = raw.first_text(argument)
    return None if text is None else clean(text)


def _list(raw: Raw, which: TimeList, code: str) -> list[int]:
    packed = raw.section(SectionKind.LIST, which)
    return [*struct.unpack(f"<{len(packed) // struct.calcsize(code)}{code}", packed)]


def _mac(packed: int) -> str | None:
    return packed.to_bytes(8, "little")[:6].hex(":") if packed else None


HOOK_DECODERS: dict[int, Decoder] = {
    hooks.PROCEXIT.row: exited,
    hooks.TCP_SET_STATE.row: changed_state,
    hooks.TCP_CONNECT.row: connecting,
    hooks.TCP_CLOSE.row: closed,
    hooks.TCP_RCV_ESTABLISHED.row: segment,
    hooks.TCP_DROP.row: dropped,
    hooks.TCP_RETRANSMIT.row: retransmitted,
    hooks.TCP_SEND_RESET.row: sent_reset,
    hooks.TCP_RECEIVE_RESET.row: received_reset,
    hooks.UDP_DROP.row: dropped_datagram,
    hooks.TCP_SYNACK.row: answered_again,
    hooks.SIGNAL_DELIVER.row: signalled,
    hooks.SCHED_SWITCH.row: switched,
    hooks.CPU_EVENT.row: timed,
    hooks.INGRESS.row: passed,
    hooks.EGRESS.row: sent_packet,
    hooks.PAGE_FAULT.row: faulted,
    hooks.PROCESS_EXEC.row: executed,
    hooks.PROCESS_FORK.row: forked,
    hooks.TASK_NEWTASK.row: made_task,
    hooks.TASK_RENAME.row: renamed,
    hooks.MARK_VICTIM.row: victim,
}
"""The decoder of each row that is not a system call's."""
