"""DNS in datagrams and streams."""

from __future__ import annotations

import struct
from itertools import pairwise

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.traffic.dns import looks_like, read_message
from engine.traffic.packets import TCP, UDP
from tests.unit.traffic.talk import Talk
from tests.unit.traffic.test_dissect import dissect

QUERY = bytes.fromhex("1234010000010000000000000377777704746573740000010001")
ANSWER = bytes.fromhex(
    "1234818000010001000000000377777704746573740000010001c00c000100010000003c00047f000009"
)
HTTPS_ANSWER = bytes.fromhex(
    "1234818000010001000000000377777704746573740000410001c00c004100010000003c0003000100"
)
NO_SUCH_NAME = bytes.fromhex("1234818300010000000000000377777704746573740000010001")


def framed(message: bytes) -> bytes:
    return struct.pack(">H", len(message)) + message


def test_a_query_and_its_answer_are_one_message() -> None:
    talk = Talk(l4=UDP)
    (message,), drops = dissect([talk.asks(QUERY), talk.answers(ANSWER)])
    assert (message.protocol, message.method, message.resource) == ("DNS", "A", "www.test")
    assert (message.status, message.latency_ms, message.session) == ("NOERROR", 1.0, "answered")
    assert message.attributes.values == {"answers": "127.0.0.9"}
    assert (message.request_bytes, message.response_bytes) == (len(QUERY), len(ANSWER))
    assert drops == []


@pytest.mark.parametrize(
    ("answer", "status"), [(NO_SUCH_NAME, "NXDOMAIN"), (HTTPS_ANSWER, "NOERROR")]
)
def test_the_status_is_the_response_code(answer: bytes, status: str) -> None:
    talk = Talk(l4=UDP)
    (message,), _ = dissect([talk.asks(QUERY), talk.answers(answer)])
    assert message.status == status


def test_answers_find_their_query_by_id() -> None:
    talk = Talk(l4=UDP)
    other = b"\x56\x78" + QUERY[2:]
    messages, _ = dissect(
        [talk.asks(QUERY), talk.asks(other), talk.answers(b"\x56\x78" + NO_SUCH_NAME[2:]),
         talk.answers(ANSWER)]
    )  # fmt: skip
    assert [message.status for message in messages] == ["NXDOMAIN", "NOERROR"]


def test_a_query_that_is_asked_again_and_never_answered_is_shown_twice() -> None:
    talk = Talk(l4=UDP)
    messages, _ = dissect([talk.asks(QUERY), talk.asks(QUERY)])
    assert [message.session for message in messages] == ["unanswered", "unanswered"]


def test_an_answer_alone_shows_who_the_server_is() -> None:
    (message,), _ = dissect([Talk(l4=UDP).answers(ANSWER)])
    assert (message.session, message.server[1]) == ("unmatched", 80)


@pytest.mark.fuzz("DNS")
@settings(deadline=None)
@given(st.sets(st.integers(1, 2 * len(QUERY) + 3), max_size=8))
def test_however_a_stream_is_cut_the_messages_are_the_same(cuts: set[int]) -> None:
    talk = Talk()
    segments = [*talk.open(), talk.asks(framed(QUERY)), talk.answers(framed(ANSWER))]
    text = framed(QUERY) + framed(b"\x56\x78" + QUERY[2:])
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    segments += [talk.asks(text[begin:end]) for begin, end in pairwise(edges)]
    segments.append(talk.answers(framed(ANSWER) + framed(b"\x56\x78" + NO_SUCH_NAME[2:])))
    messages, drops = dissect(segments)
    assert [message.status for message in messages] == ["NOERROR", "NOERROR", "NXDOMAIN"]
    assert drops == []


@pytest.mark.parametrize("parts", [(0, 2), (0, 1, 2)])
def test_a_first_query_that_is_read_in_parts_as_servers_do_is_found(parts: tuple[int, ...]) -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            *(talk.asks(framed(QUERY)[begin:end]) for begin, end in pairwise(parts)),
            talk.asks(QUERY),
            talk.answers(framed(ANSWER)[:2]),
            talk.answers(ANSWER),
        ]
    )
    assert [(one.session, one.status, one.request_bytes) for one in messages] == [
        ("answered", "NOERROR", len(QUERY))
    ]
    assert drops == []


LONG = ANSWER + b"\xc0\x0c" + bytes.fromhex("000100010000003c00047f000008") * 400


@pytest.mark.parametrize("shown", [12 + 14, 100, 4_096])
def test_of_an_answer_that_was_not_captured_whole_the_status_is_known(shown: int) -> None:
    talk = Talk()
    text = framed(LONG)
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(framed(QUERY)),
            talk.answers(text[: shown + 2], missing=len(LONG) - shown - 100),
            talk.answers(text[-100:]),
            talk.asks(framed(QUERY)),
            talk.answers(framed(ANSWER)),
        ]
    )
    assert [(one.session, one.status) for one in messages] == [("answered", "NOERROR")] * 2
    assert messages[0].attributes.values == {"answer": "not captured whole"}
    assert messages[0].response_bytes is None
    assert drops == []


def test_a_datagram_that_was_cut_answers_its_query() -> None:
    talk = Talk(l4=UDP)
    (message,), drops = dissect([talk.asks(QUERY), talk.answers(ANSWER[:30], missing=12)])
    assert (message.status, message.session) == ("NOERROR", "answered")
    assert drops == []


def test_an_answer_of_very_many_records_has_a_status() -> None:
    record = bytes.fromhex("c00c000100010000003c00047f000009")
    talk = Talk()
    answer = ANSWER[:6] + struct.pack(">H", 900) + ANSWER[8:26] + record * 900
    messages, drops = dissect(
        [*talk.open(), talk.asks(framed(QUERY)), talk.answers(framed(answer))]
    )
    assert [(one.status, one.attributes.values) for one in messages] == [
        ("NOERROR", {"answer": "more than 512 records"})
    ]
    assert drops == []


def test_the_parser_agrees_with_dpkt() -> None:
    message = read_message(ANSWER)
    assert message is not None
    assert bytes(dpkt.dns.DNS(ANSWER).an[0].rdata) == bytes(message.an[0].rdata)


@pytest.mark.fuzz("DNS")
@settings(deadline=None)
@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: QUERY[:12] + tail))
def test_any_bytes_are_dns_or_not(payload: bytes) -> None:
    for l4 in (TCP, UDP):
        assert looks_like(payload, l4) in (None, True, False)
