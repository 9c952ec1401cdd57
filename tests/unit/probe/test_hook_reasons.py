from __future__ import annotations

from array import array

import pytest

from engine.core.errors import ProbeError
from engine.probe.btf import Btf
from engine.probe.layout import read_layout
from engine.probe.reasons import drop_definitions, drop_reason, reset_reason
from tests.unit.probe.btf_blob import TYPEDEF, BtfBuilder

NAMES = {
    0: "SKB_NOT_DROPPED_YET",
    2: "SKB_DROP_REASON_NOT_SPECIFIED",
    10: "SKB_DROP_REASON_TCP_CSUM",
    20: "SKB_DROP_REASON_PROTO_MEM",
    29: "SKB_DROP_REASON_SOCKET_BACKLOG",
    97: "SKB_DROP_REASON_TCP_MINTTL",
    -65536: "SKB_DROP_REASON_SUBSYS_MASK",
}
NO_SUCH_REASON = 0xFFFF


def kernel(parameters: int, names: dict[int, str] | None = None) -> Btf:
    """A kernel with the tracepoint of dropped packets, and maybe with reasons."""
    build = BtfBuilder()
    word = build.integer("int", 4)
    trace = build.pointer(build.prototype([word] * parameters))
    build.wrapper(TYPEDEF, "btf_trace_kfree_skb", trace)
    if names is not None:
        build.enumeration("skb_drop_reason", [*names.values()], [*names])
    return Btf(build.blob())


def test_an_enum_is_read_with_its_negative_values() -> None:
    assert kernel(5, NAMES).enumerators("skb_drop_reason") == NAMES


def test_an_enum_that_is_not_there_is_an_error() -> None:
    with pytest.raises(KeyError):
        kernel(5).enumerators("skb_drop_reason")


def test_an_enum_whose_names_are_beyond_the_end_is_an_error() -> None:
    build = BtfBuilder()
    build.enumeration("broken", ["one"])
    btf = Btf(build.blob())
    first = btf._positions[btf._enums[btf._name_offset("broken")]] + 3
    words = array("I", btf._words)
    words[first] = 1 << 20
    btf._words = memoryview(words)
    with pytest.raises(ProbeError, match="enum broken"):
        btf.enumerators("broken")


def test_reasons_of_tcp_are_told_by_their_names() -> None:
    made = drop_definitions(NAMES)
    assert made == {
        "DROP_TCP_0": 1 << 10,
        "DROP_TCP_1": 1 << 97 - 64,
        "DROP_TCP_2": 0,
        "DROP_NOT_SPECIFIED": 2,
        "DROP_PROTO_MEM": 20,
        "DROP_SOCKET_BACKLOG": 29,
    }


def test_a_kernel_without_a_reason_has_no_number_for_it() -> None:
    made = drop_definitions({2: "SKB_DROP_REASON_NOT_SPECIFIED"})
    assert made["DROP_PROTO_MEM"] == made["DROP_SOCKET_BACKLOG"] == NO_SUCH_REASON
    assert made["DROP_TCP_0"] == 0


def test_drops_need_a_tracepoint_that_tells_reason_and_socket() -> None:
    assert read_layout(kernel(5, NAMES)).defines["HAVE_DROPS"] == 1
    assert "DROPS" in read_layout(kernel(4, NAMES)).missing
    assert read_layout(kernel(5)).missing["DROPS"] == "skb_drop_reason"
    assert "HAVE_DROPS" not in read_layout(kernel(5)).defines


def test_a_reason_this_kernel_has_no_name_for_is_a_number() -> None:
    assert (drop_reason(64_000), reset_reason(64_000)) == ("64000", "64000")
