"""Which segments belong together, who the client is, and what was seen before."""

from __future__ import annotations

from engine.traffic.flows import Flow, FlowTable
from engine.traffic.packets import ACK, RST, SYN, UDP, Segment
from tests.unit.traffic.talk import CLIENT, SERVER, Talk


def flow_of(table: FlowTable, segment: Segment) -> Flow:
    """The flow of a segment that has one."""
    flow, _ = table.find(segment)
    assert flow is not None
    return flow


def test_both_directions_are_one_flow() -> None:
    table, talk = FlowTable(), Talk()
    flows = [flow_of(table, segment) for segment in (*talk.open(), talk.asks(b"x"))]
    assert len(set(map(id, flows))) == 1
    assert (flows[0].client, flows[0].server) == (CLIENT, SERVER)


def test_who_sends_syn_is_the_client_even_if_only_the_answer_was_seen() -> None:
    talk = Talk()
    syn, syn_ack, _ = talk.open()
    for first in (syn, syn_ack):
        flow = Flow(1, first)
        assert (flow.client, flow.client_known) == (CLIENT, True)


def test_without_syn_the_first_sender_is_taken_for_the_client() -> None:
    flow = Flow(1, Talk().answers(b"x"))
    assert (flow.client, flow.client_known) == (SERVER, False)
    flow.flip()
    assert flow.client == CLIENT


def test_payload_sent_again_is_seen_once() -> None:
    talk = Talk()
    first = talk.asks(b"abc")
    flow = Flow(1, first)
    assert [flow.fresh(segment) for segment in (first, first)] == [b"abc", b""]
    longer = first._replace(payload=b"abcdef")
    assert flow.fresh(longer) == b"def"
    assert not flow.sides[0].lost


def test_sequence_numbers_wrap() -> None:
    talk = Talk()
    pieces = [talk.answers(b"0123456789") for _ in range(3)]
    flow = Flow(1, talk.asks(b""))
    assert [flow.fresh(piece) for piece in pieces] == [b"0123456789"] * 3
    assert not flow.sides[1].lost


def test_a_gap_is_noted() -> None:
    talk = Talk()
    first, _, third = talk.asks(b"a"), talk.asks(b"b"), talk.asks(b"c")
    flow = Flow(1, first)
    assert flow.fresh(first) == b"a"
    assert not flow.sides[0].lost
    assert flow.fresh(third) == b"c"
    assert flow.sides[0].lost


def test_bytes_the_capture_cut_off_are_no_gap() -> None:
    talk = Talk()
    first, second = talk.asks(b"a", missing=500), talk.asks(b"b")
    flow = Flow(1, first)
    assert [flow.fresh(first), flow.fresh(second)] == [b"a", b"b"]
    assert not flow.sides[0].lost


def test_a_flow_ends_with_both_fins_or_a_reset() -> None:
    talk = Talk()
    fin, fin_back, _ = talk.close()
    flow = Flow(1, fin)
    assert [flow.close(segment) for segment in (fin, fin_back)] == [False, True]
    assert Flow(1, fin).close(talk.segment(0, flags=RST))


def test_the_same_ports_again_are_a_new_flow() -> None:
    table, talk = FlowTable(), Talk()
    syn = talk.open()[0]
    first = flow_of(table, syn)
    first.fresh(syn)
    assert flow_of(table, syn) is first
    later, gone = table.find(syn._replace(seq=77_777))
    assert later is not first
    assert gone == [first]


def test_acknowledgements_make_no_flow() -> None:
    assert FlowTable().find(Talk().segment(0, flags=ACK)) == (None, [])


def test_the_least_recently_used_flow_goes_first() -> None:
    table = FlowTable(capacity=2)
    talks = [Talk(port) for port in (1, 2, 3)]
    first, second = (flow_of(table, talk.segment(0, flags=SYN)) for talk in talks[:2])
    flow_of(table, talks[0].asks(b"x"))
    _, gone = table.find(talks[2].segment(0, flags=SYN))
    assert gone == [second]
    assert first in list(table.drain())
    assert list(table.drain()) == []


def test_datagrams_that_stopped_are_forgotten_and_connections_stay() -> None:
    table = FlowTable()
    flow_of(table, Talk(1).segment(0, flags=SYN)._replace(ts_ns=1))
    asked, later = (Talk(port).asks(b"x")._replace(l4=UDP, ts_ns=port) for port in (2, 3))
    flow = flow_of(table, asked)
    flow_of(table, later)
    assert table.forget_idle(3) == [flow]
    assert len(table) == 2
    assert table.forget_idle(3) == []
