"""The events that are not system calls."""

from __future__ import annotations

from engine.probe.calls import EXTENSION, Category
from engine.probe.events import Event

SOCKET_PROGRAMS = ("on_tcp_state", "on_tcp_destroy", "on_sock_send", "on_sock_receive")
"""Programs that see threads holding sockets, from which events of packets get their owner."""

_CONNECTION = ("sip", "sport", "dip", "dport")
_WHOSE = ("src", "dst", "owner", "role", "ctx_tid")

PROCEXIT = Event(
    "tracepoint-procexit",
    "procexit",
    "-",
    186,
    (Category.PROCESS,),
    ("on_process_exit",),
    "a thread ends",
    ("status", "exit_code", "signal", "group_dead", "core_dumped"),
    needs=("EXIT",),
)


def _tcp(
    name: str,
    type_id: int,
    help_text: str,
    attributes: tuple[str, ...],
    programs: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
) -> Event:
    """An event of a TCP socket, attributed to the socket's owner."""
    return Event(
        name,
        name.partition("-")[2],
        "-",
        type_id,
        (Category.NET,),
        (*SOCKET_PROGRAMS, *programs),
        help_text,
        (*_CONNECTION, *attributes, *_WHOSE),
        needs=("TUPLE", "TCP", *needs),
    )


TCP_SET_STATE = _tcp(
    "kprobe-tcp_set_state", 336, "a TCP socket changes its state", ("old_state", "new_state")
)
TCP_CONNECT = _tcp(
    "kretprobe-tcp_connect",
    335,
    "a connect has its outcome, or its first SYN is lost",
    ("retval", "outcome"),
    ("on_tcp_retransmit",),
)
TCP_CLOSE = _tcp(
    "kprobe-tcp_close",
    328,
    "a process closes a connection",
    ("rtt", "state", "bytes_sent", "bytes_received", "age_ms"),
    needs=("TCP_DESTROY",),
)
TCP_RCV_ESTABLISHED = _tcp(
    "kprobe-tcp_rcv_established",
    326,
    "a segment arrives; told every 5 s for each socket",
    ("rtt", "data_len", "cwnd"),
    ("on_tcp_segment",),
    ("TCP_PROBE",),
)
TCP_DROP = _tcp(
    "kprobe-tcp_drop",
    330,
    "TCP drops a segment",
    ("reason", "state"),
    ("on_skb_drop",),
    ("DROPS",),
)
TCP_RETRANSMIT = _tcp(
    "kprobe-tcp_retransmit_skb",
    332,
    "TCP sends a segment again",
    ("segs", "state", "error"),
    ("on_tcp_retransmit",),
    ("TCP_RETRANSMIT",),
)
TCP_SEND_RESET = _tcp(
    "tracepoint-tcp_send_reset",
    340,
    "the kernel resets a connection",
    ("reason", "state"),
    ("on_tcp_send_reset",),
    ("TCP_SEND_RESET",),
)
TCP_RECEIVE_RESET = _tcp(
    "tracepoint-tcp_receive_reset",
    338,
    "the other end resets a connection",
    ("state",),
    ("on_tcp_receive_reset",),
    ("TCP_RECEIVE_RESET",),
)
UDP_DROP = Event(
    "tracepoint-udp_drop",
    "udp_drop",
    "-",
    EXTENSION,
    (Category.NET,),
    (*SOCKET_PROGRAMS, "on_skb_drop"),
    "a datagram is dropped at its socket",
    (*_CONNECTION, "reason", *_WHOSE),
    needs=("TUPLE", "TCP", "DROPS"),
    own_row=960,
    ext=True,
)
TCP_SYNACK = Event(
    "tracepoint-tcp_retransmit_synack",
    "tcp_retransmit_synack",
    "-",
    EXTENSION,
    (Category.NET,),
    (*SOCKET_PROGRAMS, "on_tcp_synack_again"),
    "a listener answers a connect again",
    (*_CONNECTION, *_WHOSE),
    needs=("TUPLE", "TCP", "TCP_SYNACK"),
    own_row=974,
    ext=True,
)
SIGNAL_DELIVER = Event(
    "tracepoint-signaldeliver",
    "signaldeliver",
    "-",
    232,
    (Category.SIGNAL,),
    ("on_signal_generate", "on_signal_deliver"),
    "a signal reaches a thread",
    ("spid", "dpid", "sig", "signal", "code", "action", "stid", "scomm", "delivered_as", "cause"),
    needs=("SIGNALS",),
)
SCHED_SWITCH = Event(
    "tracepoint-sched_switch",
    "switch",
    "-",
    152,
    (Category.SCHEDULER,),
    ("on_sched_switch",),
    "a thread leaves its processor",
    ("next", "pgft_maj", "pgft_min", "state", "preempted", "next_comm", "next_prio"),
    needs=("SWITCH",),
    accepts=(Category.OTHER,),
)
CPU_EVENT = Event(
    "tracepoint-cpu_analysis",
    "cpu_event",
    "-",
    342,
    (Category.PROCESS,),
    ("on_cpu_switch", "on_cpu_waking", "on_cpu_wakeup", "on_cpu_exit"),
    "where a thread's time went: running, and what it waited for",
    (
        "start_time", "end_time", "time_specs", "runq_latency", "time_type",
        "on_ns", "off_ns", "off_reason", "waker",
    ),
    needs=("SWITCH",),
)  # fmt: skip
INGRESS = Event(
    "tracepoint-ingress",
    "ingress",
    "-",
    322,
    (Category.NET,),
    ("on_packet_in",),
    "a packet arrives at an interface",
    ("dev", "skb_addr", "src_mac", "dst_mac", "len", "protocol", "src", "dst"),
    needs=("DEVICE", "PACKET"),
)
EGRESS = Event(
    "tracepoint-egress",
    "egress",
    "-",
    324,
    (Category.NET,),
    (*SOCKET_PROGRAMS, "on_packet_out"),
    "a packet leaves through an interface",
    (*INGRESS.attributes, "owner", "role", "ctx_tid"),
    needs=("DEVICE", "PACKET"),
)
PAGE_FAULT = Event(
    "tracepoint-page_fault_user",
    "page_fault",
    "-",
    EXTENSION,
    (Category.MEMORY,),
    ("on_page_fault",),
    "a program touches a page that is not there; all counted, some told",
    ("addr", "ip", "error", "access", "count", "every"),
    needs=("FAULTS",),
    own_row=962,
    ext=True,
)
PROCESS_EXEC = Event(
    "tracepoint-sched_process_exec",
    "process_exec",
    "-",
    EXTENSION,
    (Category.PROCESS,),
    ("on_process_exec",),
    "a program has been started",
    ("filename", "argv", "old_tid"),
    needs=("EXECUTED",),
    own_row=964,
    ext=True,
)
PROCESS_FORK = Event(
    "tracepoint-sched_process_fork",
    "process_fork",
    "-",
    EXTENSION,
    (Category.PROCESS,),
    ("on_process_fork",),
    "a process or thread has been made",
    ("child_pid", "child_tid", "thread"),
    needs=("TASK",),
    own_row=966,
    ext=True,
)
TASK_NEWTASK = Event(
    "tracepoint-task_newtask",
    "task_newtask",
    "-",
    EXTENSION,
    (Category.PROCESS,),
    ("on_new_task",),
    "a process or thread is made, with the flags it is made with",
    ("child_pid", "child_tid", "thread", "clone_flags"),
    needs=("TASK",),
    own_row=968,
    ext=True,
)
TASK_RENAME = Event(
    "tracepoint-task_rename",
    "task_rename",
    "-",
    EXTENSION,
    (Category.PROCESS,),
    ("on_task_rename",),
    "a thread gets another name",
    ("old", "new", "by_tid"),
    needs=("TASK",),
    own_row=970,
    ext=True,
)
MARK_VICTIM = Event(
    "tracepoint-mark_victim",
    "oom_victim",
    "-",
    EXTENSION,
    (Category.MEMORY,),
    ("on_oom_victim",),
    "a process is chosen to be killed because memory is short",
    ("total_vm_kib", "oom_score_adj"),
    needs=("TASK", "VICTIM"),
    own_row=972,
    ext=True,
)

HOOKS: tuple[Event, ...] = (
    PROCEXIT,
    TCP_SET_STATE,
    TCP_CONNECT,
    TCP_CLOSE,
    TCP_RCV_ESTABLISHED,
    TCP_DROP,
    TCP_RETRANSMIT,
    TCP_SEND_RESET,
    TCP_RECEIVE_RESET,
    UDP_DROP,
    TCP_SYNACK,
    SIGNAL_DELIVER,
    SCHED_SWITCH,
    CPU_EVENT,
    INGRESS,
    EGRESS,
    PAGE_FAULT,
    PROCESS_EXEC,
    PROCESS_FORK,
    TASK_NEWTASK,
    TASK_RENAME,
    MARK_VICTIM,
)
"""All of them, in the order they are listed."""

ROWS: dict[str, int] = {
    "ROW_PROCEXIT": PROCEXIT.row,
    "ROW_TCP_SET_STATE": TCP_SET_STATE.row,
    "ROW_TCP_CONNECT": TCP_CONNECT.row,
    "ROW_TCP_CLOSE": TCP_CLOSE.row,
    "ROW_TCP_RCV_ESTABLISHED": TCP_RCV_ESTABLISHED.row,
    "ROW_TCP_DROP": TCP_DROP.row,
    "ROW_TCP_RETRANSMIT": TCP_RETRANSMIT.row,
    "ROW_TCP_SEND_RESET": TCP_SEND_RESET.row,
    "ROW_TCP_RECEIVE_RESET": TCP_RECEIVE_RESET.row,
    "ROW_UDP_DROP": UDP_DROP.row,
    "ROW_TCP_SYNACK": TCP_SYNACK.row,
    "ROW_SIGNAL_DELIVER": SIGNAL_DELIVER.row,
    "ROW_SCHED_SWITCH": SCHED_SWITCH.row,
    "ROW_CPU_EVENT": CPU_EVENT.row,
    "ROW_INGRESS": INGRESS.row,
    "ROW_EGRESS": EGRESS.row,
    "ROW_PAGE_FAULT": PAGE_FAULT.row,
    "ROW_PROCESS_EXEC": PROCESS_EXEC.row,
    "ROW_PROCESS_FORK": PROCESS_FORK.row,
    "ROW_TASK_NEWTASK": TASK_NEWTASK.row,
    "ROW_TASK_RENAME": TASK_RENAME.row,
    "ROW_MARK_VICTIM": MARK_VICTIM.row,
}
"""Their rows of the matrix, as definitions for the compiler."""
