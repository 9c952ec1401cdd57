"""The events of sockets and packets, each told in the name of whoever owns the socket."""

from __future__ import annotations

from engine.probe.calls import EXTENSION, Category
from engine.probe.events import Event, Helper

SOCKET_PROGRAMS = ("on_tcp_state", "on_tcp_destroy")
"""Programs that see connections begin and end. Without one of them, a socket that takes the place
of another in memory would be told to be the other's owner's."""

_SEEN_AT_WORK = (
    Helper("on_sock_send", "who merely sends on a socket is not seen to own it"),
    Helper("on_sock_receive", "who merely receives on a socket is not seen to own it"),
)
"""Linux has these tracepoints since 6.3."""

_CONNECTION = ("sip", "sport", "dip", "dport")
_WHOSE = ("src", "dst", "owner", "role", "ctx_tid")


def _tcp(
    name: str,
    type_id: int,
    help_text: str,
    attributes: tuple[str, ...],
    programs: tuple[str, ...] = (),
    needs: tuple[str, ...] = (),
    helpers: tuple[Helper, ...] = (),
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
        helpers=(*_SEEN_AT_WORK, *helpers),
    )


TCP_SET_STATE = _tcp(
    "kprobe-tcp_set_state", 336, "a TCP socket changes its state", ("old_state", "new_state")
)
TCP_CONNECT = _tcp(
    "kretprobe-tcp_connect",
    335,
    "a connect has its outcome, or its first SYN is lost",
    ("retval", "outcome"),
    helpers=(Helper("on_tcp_retransmit", "a connect is not told before it has its outcome"),),
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
    helpers=_SEEN_AT_WORK,
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
    helpers=_SEEN_AT_WORK,
    own_row=974,
    ext=True,
)
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
    helpers=_SEEN_AT_WORK,
)
