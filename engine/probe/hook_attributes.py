"""The attributes of events that are not system calls."""

from __future__ import annotations

import struct

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.probe import hooks
from engine.probe.abi import EventFlag, SectionKind, TimeList
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.socket_attributes import SOCKET_DECODERS
from engine.probe.task_values import clone_flags, fault_access, signal_code, task_state
from engine.probe.values import signal_name, signed

_ACTIONS = ("default", "ignored", "handler")
_TIME_TYPES = {
    0: "on", 1: "disk", 2: "net", 3: "lock", 4: "idle", 5: "other", 6: "epoll",
}  # fmt: skip


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


def signalled(raw: Raw) -> Attributes:
    """signaldeliver: `sig`, who sent it (`spid`, `stid`, `scomm`), what the target does with it.

    `spid` is null for a signal that the kernel made. What ends a whole process is delivered as
    SIGKILL to each of its threads: `delivered_as` tells so where another signal was the cause,
    and `cause` where it was a thread that called exit_group.
    """
    number, code, both, sender_tid, action, packed = raw.args
    sender, target = both & 0xFFFFFFFF, both >> 32
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


HOOK_DECODERS: dict[int, Decoder] = {
    **SOCKET_DECODERS,
    hooks.PROCEXIT.row: exited,
    hooks.SIGNAL_DELIVER.row: signalled,
    hooks.SCHED_SWITCH.row: switched,
    hooks.CPU_EVENT.row: timed,
    hooks.PAGE_FAULT.row: faulted,
    hooks.PROCESS_EXEC.row: executed,
    hooks.PROCESS_FORK.row: forked,
    hooks.TASK_NEWTASK.row: made_task,
    hooks.TASK_RENAME.row: renamed,
    hooks.MARK_VICTIM.row: victim,
}
"""The decoder of each row that is not a system call's."""
