"""Programs attached to raw tracepoints, only as long as something needs them."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Mapping

from engine.core.errors import RAISE_THE_LIMIT, TOO_MANY_FILES, ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys

TRACEPOINT_OF = {
    # In the order of attaching: an exit needs its enter for the latency.
    "on_sys_enter": "sys_enter",
    "on_sys_exit": "sys_exit",
    "on_process_exit": "sched_process_exit",
    "on_tcp_state": "inet_sock_set_state",
    "on_tcp_destroy": "tcp_destroy_sock",
    "on_sock_send": "sock_send_length",
    "on_sock_receive": "sock_recv_length",
    "on_tcp_segment": "tcp_probe",
    "on_tcp_retransmit": "tcp_retransmit_skb",
    "on_tcp_synack_again": "tcp_retransmit_synack",
    "on_tcp_send_reset": "tcp_send_reset",
    "on_tcp_receive_reset": "tcp_receive_reset",
    "on_skb_drop": "kfree_skb",
    "on_process_exec": "sched_process_exec",
    "on_process_fork": "sched_process_fork",
    "on_new_task": "task_newtask",
    "on_task_rename": "task_rename",
    "on_oom_victim": "mark_victim",
    "on_signal_generate": "signal_generate",
    "on_signal_deliver": "signal_deliver",
    "on_page_fault": "page_fault_user",
    "on_packet_in": "netif_receive_skb",
    "on_packet_out": "net_dev_start_xmit",
    "on_cpu_switch": "sched_switch",
    "on_cpu_waking": "sched_waking",
    "on_cpu_wakeup": "sched_wakeup",
    "on_cpu_exit": "sched_process_exit",
    "on_sched_switch": "sched_switch",
    "on_payload_enter": "sys_enter",
    "on_payload_exit": "sys_exit",
    "on_payload_messages": "sys_exit",
    "on_fork_follow": "sched_process_fork",
    "on_free_follow": "sched_process_free",
    "on_exec_wake": "sched_process_exec",
    "on_exit_wake": "sched_process_exit",
    "on_listen_wake": "inet_sock_set_state",
}
"""The raw tracepoint each program is attached to; several may share one."""


class Attachments:
    """What is attached now. An attachment is a descriptor: it ends with the process at the latest.

    Args:
        programs: Descriptors of the loaded programs by name; not closed here.
        refused: Programs that are not loaded, with the reason.
    """

    def __init__(self, programs: Mapping[str, int], refused: Mapping[str, str]) -> None:
        self._programs = programs
        self._refused = refused
        self._links: dict[str, int] = {}

    def require(self, programs: Iterable[str], helpers: Iterable[str] = ()) -> None:
        """Attach what is needed and detach everything else.

        Args:
            programs: What must be attached.
            helpers: What is attached as well, as far as it is loaded and has its tracepoint.

        Raises:
            ProbeError: if the kernel refuses one; nothing has changed then.
        """
        vital, before = set(programs), set(self._links)
        needed = vital | (set(helpers) & self._programs.keys())
        try:
            for program in TRACEPOINT_OF:
                if program in needed and program not in self._links:
                    self._attach(program, vital=program in vital)
        except ProbeError:
            for program in self._links.keys() - before:
                os.close(self._links.pop(program))
            raise
        for program in self._links.keys() - needed:
            os.close(self._links.pop(program))

    def _attach(self, program: str, *, vital: bool) -> None:
        tracepoint = TRACEPOINT_OF[program]
        if program not in self._programs:
            why = self._refused.get(program, "it is not loaded")
            raise ProbeError(f"the kernel refused the program {program}: {why}")
        try:
            link = bpfsys.raw_tracepoint_open(tracepoint, self._programs[program])
        except OSError as refused:
            if not vital and refused.errno == errno.ENOENT:
                return
            reason = clean(refused.strerror or str(refused))
            raise ProbeError(
                f"cannot attach to {tracepoint}: {reason}",
                fix=RAISE_THE_LIMIT if refused.errno in TOO_MANY_FILES else "",
            ) from refused
        self._links[program] = link
