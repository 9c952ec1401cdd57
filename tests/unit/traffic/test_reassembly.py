"""TCP streams put in order: whatever the network does, the same bytes come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.traffic.dissect import Dissector
from engine.traffic.packets import ACK, PSH, RST, SYN, UDP, Segment
from engine.traffic.reassembly import MAX_HELD_SEGMENTS, Reassembler
from tests.unit.traffic.talk import Talk

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
CHUNKED = b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"


def through(segments: list[Segment]) -> tuple[bytes, Reassembler]:
    """What the client said, put in order."""
    reassembler = Reassembler()
    pieces = [piece for segment in segments for piece in reassembler.take(segment)]
    pieces += reassembler.finish()
    return b"".join(piece.segment.payload for piece in pieces), reassembler


def test_segments_out_of_order_are_put_in_order() -> None:
    talk = Talk()
    opening = talk.open()
    one, two, three = (talk.asks(text) for text in (b"one ", b"two ", b"three"))
    assert through([*opening, three, one, two])[0] == b"one two three"


def test_what_comes_again_is_left_out_and_counted() -> None:
    talk = Talk()
    one, two = talk.asks(b"one "), talk.asks(b"two")
    said, reassembler = through([one, one, two, two, one])
    assert (said, reassembler.retransmitted) == (b"one two", 3)


def test_of_an_overlap_the_bytes_seen_first_count() -> None:
    talk = Talk()
    one = talk.asks(b"abcd")
    overlap = one._replace(seq=one.seq + 2, payload=b"XXef")
    assert through([one, overlap])[0] == b"abcdef"


def test_a_gap_is_counted_and_the_stream_goes_on_behind_it() -> None:
    talk = Talk()
    opening = talk.open()
    one, _, three = talk.asks(b"one"), talk.asks(b"lost"), talk.asks(b"three")
    said, reassembler = through([*opening, one, three])
    assert (said, reassembler.gap_bytes) == (b"onethree", 4)


def test_a_gap_is_not_waited_for_beyond_a_second() -> None:
    talk = Talk()
    reassembler = Reassembler()
    one, _, three = talk.asks(b"one"), talk.asks(b"lost"), talk.asks(b"three")
    for segment in (one, three):
        list(reassembler.take(segment))
    talk.now_ns += 2_000_000_000
    later = [piece.segment.payload for piece in reassembler.take(talk.answers(b"hm?"))]
    assert (later, reassembler.gap_bytes) == ([b"one", b"three"], 4)


def test_no_more_than_so_many_segments_are_held_back() -> None:
    talk = Talk()
    reassembler = Reassembler()
    list(reassembler.take(talk.asks(b"first")))
    talk.asks(b"lost")
    for _ in range(MAX_HELD_SEGMENTS + 1):
        list(reassembler.take(talk.asks(b"x")))
    assert reassembler.gap_bytes == 4


def test_bytes_up_to_a_push_are_one_piece() -> None:
    talk = Talk()
    parts = [talk.segment(0, b"GET /"), talk.segment(0, b"a HTTP/1.1", flags=ACK | PSH)]
    reassembler = Reassembler()
    pieces = [piece for part in parts for piece in reassembler.take(part)]
    assert [(piece.segment.payload, piece.segments) for piece in pieces] == [
        (b"GET /a HTTP/1.1", 2)
    ]


def test_datagrams_and_resets_pass_through() -> None:
    reassembler = Reassembler()
    datagram = Talk(l4=UDP).asks(b"x")
    reset = Talk().segment(0, flags=RST)
    assert [piece.segment for piece in reassembler.take(datagram)] == [datagram]
    assert [piece.segment for piece in reassembler.take(reset)] == [reset]


@pytest.mark.fuzz("TCP reassembly")
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_however_it_is_cut_shuffled_and_repeated_the_messages_are_the_same(
    data: st.DataObject,
) -> None:
    talk = Talk()
    segments = talk.open()
    for side, text in ((0, GET + GET), (1, OK + CHUNKED), (0, GET), (1, OK)):
        cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=6)))
        edges = [0, *cuts, len(text)]
        parts = [talk.segment(side, text[begin:end]) for begin, end in pairwise(edges)]
        again = data.draw(st.lists(st.sampled_from(parts), max_size=3))
        segments += data.draw(st.permutations([*parts, *again]))
    reassembler, dissector = Reassembler(), Dissector(None)
    found = []
    for segment in segments:
        for piece in reassembler.take(segment):
            messages, reason = dissector.take(piece.segment)
            assert reason is None
            found += messages
    for piece in reassembler.finish():
        found += dissector.take(piece.segment)[0]
    assert [(one.resource, one.status) for one in found] == [
        ("/a", "200"),
        ("/a", "404"),
        ("/a", "200"),
    ]
    assert reassembler.gap_bytes == 0


@pytest.mark.fuzz("TCP reassembly")
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 60), st.binary(max_size=9), st.sampled_from([ACK, SYN, ACK | 1, RST])
        ),
        max_size=30,
    )
)
def test_any_segments_at_all_are_survived(parts: list[tuple[int, bytes, int]]) -> None:
    begin = Talk().asks(b"x")
    segments = [
        begin._replace(seq=(2**32 - 30 + seq) % 2**32, payload=payload, flags=flags)
        for seq, payload, flags in parts
    ]
    said, _ = through(segments)
    assert len(said) <= sum(len(payload) for _, payload, _ in parts)
