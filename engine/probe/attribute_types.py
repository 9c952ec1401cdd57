"""The types of attributes, by the short names Kindling's schemas have for them.

Those of system calls are in their table. A `path` or `relpath` is text, an `fd`, `pid`, `err` or
`sig` a number; where people are shown a word instead of a number, as for flags, states and
addresses, the record has the word.
"""

from __future__ import annotations

from engine.probe.calls import CALLS
from engine.probe.events import Event

_OF_CALLS = {
    (call.name, direction): {attribute.key: attribute.type for attribute in attributes}
    for call in CALLS
    for direction, attributes in (("enter", call.enter), ("exit", call.exit))
}
_OF_HOOKS = {
    **dict.fromkeys(("status", "exit_code", "retval"), "err"),
    **dict.fromkeys(("sport", "dport"), "u16"),
    **dict.fromkeys(("rtt", "segs", "data_len", "cwnd", "len", "sig", "error"), "u32"),
    **dict.fromkeys(("ctx_tid", "spid", "stid", "dpid", "next", "by_tid", "old_tid"), "pid"),
    **dict.fromkeys(("child_pid", "child_tid"), "pid"),
    **dict.fromkeys(("bytes_sent", "bytes_received", "pgft_maj", "pgft_min"), "u64"),
    **dict.fromkeys(("start_time", "end_time", "on_ns", "off_ns", "count", "every"), "u64"),
    **dict.fromkeys(("total_vm_kib",), "u64"),
    **dict.fromkeys(("next_prio", "oom_score_adj"), "i32"),
    **dict.fromkeys(("group_dead", "preempted", "thread"), "bool"),
    "age_ms": "double",
    **dict.fromkeys(("time_specs", "runq_latency"), "list of u64"),
    **dict.fromkeys(("time_type", "off_reason", "argv"), "list of str"),
    "waker": "list of pid",
}
"""By key; what is not here is text."""


def attribute_types(event: Event) -> list[tuple[str, str]]:
    """Every attribute of an event with its type, in order."""
    types = _OF_CALLS.get((event.name.partition("-")[2], event.direction), _OF_HOOKS)
    return [(key, types.get(key, "str")) for key in event.attributes]
