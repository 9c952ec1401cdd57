"""The attributes of events of sockets and packets."""

from __future__ import annotations

import errno

from engine.core.sanitise import clean
from engine.probe import socket_hooks as hooks
from engine.probe.abi import TUPLE, Provenance, Role, SectionKind
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.reasons import drop_reason, reset_reason
from engine.probe.values import endpoint, signed, tcp_state

_SYN_SENT, _ESTABLISHED = 2, 1
_TID_BITS = 0xFFFFFFFF
_HOW = {how.value: how.name.lower() for how in Provenance}
_ROLES = {role.value: role.name.lower() for role in Role}
_PROTOCOLS = {0x0800: "ipv4", 0x86DD: "ipv6", 0x0806: "arp", 0x8100: "vlan"}


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


def passed(raw: Raw) -> Attributes:
    """ingress: the device, the packet's addresses, length and protocol."""
    length, protocol, source, destination, _, address = raw.args
    device, ends = raw.first_text(0), raw.section(SectionKind.TUPLE)
    made: Attributes = {
        "dev": None if device is None else clean(device),
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


def _mac(packed: int) -> str | None:
    return packed.to_bytes(8, "little")[:6].hex(":") if packed else None


SOCKET_DECODERS: dict[int, Decoder] = {
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
    hooks.INGRESS.row: passed,
    hooks.EGRESS.row: sent_packet,
}
"""The decoder of each of their rows."""
