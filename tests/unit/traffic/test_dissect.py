"""From segments to messages: inference, pairing, and a reason for every drop."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.traffic.dissect import Dissector
from engine.traffic.messages import Message
from engine.traffic.options import TrafficOptions
from engine.traffic.packets import RST, TCP, UDP, Segment
from engine.traffic.reasons import DropReason
from tests.unit.traffic.talk import Talk

GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
LONG = b"GET /a HTTP/1.1\r\nHost: h\r\nCookie: " + b"c" * 60
LONG_OK = b"HTTP/1.1 200 OK\r\nServer: s\r\nSet-Cookie: " + b"c" * 60
FAKE = b"HTTP/1.1 500 Fake\r\nContent-Length: 0\r\n\r\n"


def dissect(
    segments: Iterable[Segment], dissector: Dissector | None = None
) -> tuple[list[Message], list[DropReason]]:
    """All messages of the segments, unanswered ones last, and the drops."""
    dissector = dissector or Dissector(None)
    messages, drops = [], []
    for segment in segments:
        made, reason = dissector.take(segment)
        messages += made
        if reason is not None:
            drops.append(reason)
    return messages + dissector.finish(), drops


def brief(messages: list[Message]) -> list[tuple[str, str]]:
    """Request and status of each message."""
    records = [message.record("") for message in messages]
    return [(str(record.get("request")), str(record.get("status"))) for record in records]


def test_a_request_and_its_response_are_one_message_with_its_latency() -> None:
    talk = Talk()
    messages, drops = dissect([*talk.open(), talk.asks(GET), talk.answers(OK), *talk.close()])
    (message,) = messages
    assert brief(messages) == [("GET /a", "200")]
    assert (message.latency_ms, message.protocol, message.parsed_by) == (1.0, "HTTP", "built-in")
    assert message.headers["host"] == "h"
    assert drops == []


def test_keep_alive_and_pipelining() -> None:
    talk = Talk()
    second = GET.replace(b"/a", b"/b")
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(OK),
            talk.asks(GET + second),
            talk.answers(OK.replace(b"200", b"201") + OK.replace(b"200", b"202")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /a", "201"), ("GET /b", "202")]
    assert drops == []


def test_heads_split_over_segments() -> None:
    talk = Talk()
    start = talk.open()
    segments = [talk.asks(GET[n : n + 1]) for n in range(len(GET))]
    segments += [talk.answers(OK[:9]), talk.answers(OK[9:])]
    messages, drops = dissect([*start, *segments])
    assert brief(messages) == [("GET /a", "200")]
    assert drops == []


def test_a_hostile_path_is_shown_sanitised() -> None:
    talk = Talk()
    hostile = "/\x1b]0;owned\x07/\u202etxt.exe".encode() + b"\xff"
    messages, _ = dissect([*talk.open(), talk.asks(GET.replace(b"/a", hostile)), talk.answers(OK)])
    assert brief(messages) == [("GET /␛]0;owned␇/\\u202etxt.exe\\xff", "200")]


def test_an_interim_answer_is_not_the_answer() -> None:
    talk = Talk()
    messages, _ = dissect(
        [talk.asks(GET), talk.answers(b"HTTP/1.1 100 Continue\r\n\r\n"), talk.answers(OK)]
    )
    assert brief(messages) == [("GET /a", "200")]


def test_the_answer_to_head_has_no_body() -> None:
    talk = Talk()
    head = GET.replace(b"GET", b"HEAD")
    messages, drops = dissect(
        [talk.asks(head), talk.answers(OK[:-2]), talk.asks(GET), talk.answers(OK)]
    )
    assert brief(messages) == [("HEAD /a", "200"), ("GET /a", "200")]
    assert drops == []


def test_requests_without_answer_are_shown_when_the_flow_ends() -> None:
    talk = Talk()
    segments = [*talk.open(), talk.asks(GET)]
    messages, _ = dissect([*segments, talk.segment(1, flags=RST)])
    assert brief(messages) == [("GET /a", "")]
    assert messages[0].latency_ms is None
    assert brief(dissect(segments)[0]) == [("GET /a", "")]


def test_an_answer_whose_request_was_not_captured_is_shown() -> None:
    messages, _ = dissect([Talk().answers(OK)])
    assert brief(messages) == [("", "200")]
    assert messages[0].server[1] == 80


def test_after_an_upgrade_nothing_is_taken_for_http() -> None:
    talk = Talk()
    asking = GET.replace(b"Host", b"Connection: upgrade\r\nUpgrade: websocket\r\nHost")
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n"
    handshake = [talk.asks(asking), talk.answers(switching)]
    frames = [talk.asks(b"\x81\x05hello"), talk.answers(b"\x81\x05hello")]
    messages, drops = dissect([*handshake, *frames])
    assert brief(messages) == [("GET /a", "101")]
    assert drops == []


def test_a_tunnel_is_not_taken_for_http() -> None:
    talk = Talk()
    connect = b"CONNECT host:443 HTTP/1.1\r\n\r\n"
    established = b"HTTP/1.1 200 Connection established\r\n\r\n"
    handshake = [talk.asks(connect), talk.answers(established)]
    frames = [talk.asks(b"\x16\x03\x01\x02"), talk.answers(b"\x16\x03\x03")]
    messages, drops = dissect([*handshake, *frames])
    assert brief(messages) == [("CONNECT host:443", "200")]
    assert drops == []


def test_a_protocol_nobody_knows_is_shown_once() -> None:
    talk = Talk()
    start = talk.open()
    segments = [talk.asks(b"\x16\x03\x01"), talk.answers(b"\x16\x03\x03"), talk.asks(b"\x17")]
    messages, drops = dissect([*start, *segments])
    (message,) = messages
    assert (message.protocol, message.parsed_by) == ("unknown", "nobody")
    assert message.headers == {"first_bytes": "␖␃␁"}
    assert drops == []


def test_a_flow_that_stays_unknown_is_left_alone() -> None:
    talk = Talk()
    noise = [talk.asks(b"\x00\x03\x03") for _ in range(16)]
    messages, drops = dissect([*noise, talk.asks(GET), talk.answers(OK)])
    assert [message.protocol for message in messages] == ["unknown"]
    assert drops == []


def test_http_in_a_datagram_is_unknown() -> None:
    messages, drops = dissect([Talk(l4=UDP).asks(GET)])
    assert [message.protocol for message in messages] == ["unknown"]
    assert drops == []


def test_http_is_found_in_the_middle_of_a_connection() -> None:
    talk = Talk()
    messages, _ = dissect([talk.answers(b"\x00rest of a body"), talk.asks(GET), talk.answers(OK)])
    assert brief(messages[1:]) == [("GET /a", "200")]
    assert messages[1].server[1] == 80


def test_payload_sent_again_is_dropped_as_such() -> None:
    talk = Talk()
    start, asked = talk.open(), talk.asks(GET)
    messages, drops = dissect([*start, asked, asked, talk.answers(OK)])
    assert len(messages) == 1
    assert drops == ["retransmission"]


def test_after_a_gap_the_next_message_is_found() -> None:
    talk = Talk()
    post = b"POST /p HTTP/1.1\r\nContent-Length: 30\r\n\r\n"
    start = talk.open()
    asked, _, rest = talk.asks(post), talk.asks(b"a" * 10), talk.asks(b"b" * 20)
    messages, drops = dissect(
        [*start, asked, rest, talk.answers(OK), talk.asks(GET), talk.answers(OK)]
    )
    assert brief(messages) == [("POST /p", "200"), ("GET /a", "200")]
    assert drops == ["gap"]


def test_a_segment_the_capture_cut_is_read_as_far_as_it_goes() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(OK[:-2], missing=2),
            talk.asks(GET),
            talk.answers(OK),
            talk.asks(b"", missing=40),
            talk.asks(GET),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /a", "200"), ("GET /a", "")]
    assert drops == ["truncated"]


@pytest.mark.parametrize("sent_again", [False, True])
def test_a_body_nothing_of_which_was_captured_is_stepped_over(sent_again: bool) -> None:
    talk = Talk()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"
    segments = [*talk.open(), talk.asks(GET), talk.answers(head)]
    body = [talk.answers(b"", missing=200_000), talk.answers(b"", missing=100_000)]
    again = body[:1] if sent_again else []
    more = [talk.asks(GET.replace(b"/a", b"/b")), talk.answers(OK)]
    messages, drops = dissect([*segments, *body, *again, *more])
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "200")]
    assert drops == ["retransmission"] * sent_again


def test_a_body_sent_again_with_more_that_was_not_captured_is_stepped_over() -> None:
    talk = Talk()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n"
    begin = [*talk.open(), talk.asks(GET), talk.answers(head), talk.answers(b"x" * 100)]
    talk.seqs[1] -= 100
    again = talk.answers(b"x" * 60, missing=240)
    more = [talk.asks(GET.replace(b"/a", b"/b")), talk.answers(OK)]
    messages, drops = dissect([*begin, again, *more])
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "200")]
    assert drops == []


def test_behind_a_body_of_unknown_length_that_was_not_captured_the_next_response_is_found() -> None:
    talk = Talk()
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(head),
            talk.answers(b"", missing=5),
            talk.answers(b"\r\n0\r\n\r\n"),
            talk.asks(GET.replace(b"/a", b"/b")),
            talk.answers(OK),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "200")]
    assert drops == ["truncated", "gap"]


@pytest.mark.parametrize(
    "unread",
    [b"HTTP/1.1 two hundred\r\n\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000],
    ids=["malformed", "too long"],
)
def test_an_answer_that_cannot_be_read_is_not_waited_for_once_the_client_asks_again(
    unread: bytes,
) -> None:
    talk = Talk()
    segments = [*talk.open(), talk.asks(GET), talk.answers(unread)]
    for name in (b"/b", b"/c"):
        segments += [talk.asks(GET.replace(b"/a", name)), talk.answers(OK)]
    messages, _ = dissect(segments)
    assert brief(messages) == [("GET /a", ""), ("GET /b", "200"), ("GET /c", "200")]


def test_pipelined_requests_are_given_up_where_answers_cannot_be_told_apart() -> None:
    talk = Talk()
    asked = b"".join(GET.replace(b"/a", b"/%d" % number) for number in range(4))
    bodyless = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody"
    messages, drops = dissect(
        [*talk.open(), talk.asks(asked), talk.answers(bodyless + OK), talk.answers(OK)]
    )
    assert sorted(brief(messages)) == [
        ("", "200"), ("GET /0", "304"), ("GET /1", ""), ("GET /2", ""), ("GET /3", ""),
    ]  # fmt: skip
    assert drops == ["malformed"]


def test_of_very_many_pipelined_requests_each_has_its_own_answer_or_none() -> None:
    talk = Talk()
    count = 300
    asked = b"".join(GET.replace(b"/a", b"/%d" % number) for number in range(count))
    answered = [b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % (200 + n) for n in range(count)]
    messages, _ = dissect([*talk.open(), talk.asks(asked), talk.answers(b"".join(answered))])
    told = [brief([one])[0] for one in messages if one.session == "answered"]
    assert told == [(f"GET /{number}", str(200 + number)) for number in range(44, count)]
    assert len(messages) == count + 44


def test_a_late_answer_is_not_taken_for_that_of_the_next_request() -> None:
    talk = Talk()
    segments = [*talk.open(), talk.asks(GET)]
    talk.now_ns += 50 * 10**9
    segments.append(talk.asks(GET.replace(b"/a", b"/b")))
    talk.now_ns += 20 * 10**9
    segments += [talk.answers(OK.replace(b"200", b"504")), talk.answers(OK)]
    messages, _ = dissect(segments)
    assert brief(messages) == [("GET /a", ""), ("", "504"), ("GET /b", "200")]


@pytest.mark.parametrize("cut", [100, 30, 10])
def test_rtsp_is_not_taken_for_http(cut: int) -> None:
    talk = Talk()
    asked = b"DESCRIBE rtsp://h/x RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    opened = talk.open()
    parts = [talk.asks(part) for part in (asked[:cut], asked[cut:]) if part]
    answered = talk.answers(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n")
    messages, _ = dissect([*opened, *parts, answered, *talk.close()])
    assert [message.protocol for message in messages] == ["unknown"]


def remarks(messages: list[Message]) -> list[dict[str, str]]:
    """What is remarked of each message."""
    return [message.attributes.values for message in messages]


def test_a_request_whose_head_was_not_captured_whole_is_paired_and_says_so() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(LONG, missing=1_000),
            talk.answers(OK),
            talk.asks(GET),
            talk.answers(OK),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /a", "200")]
    assert remarks(messages) == [
        {"request_head": "not captured whole: 1000 bytes missing"},
        {},
    ]
    first = messages[0]
    assert (first.session, first.latency_ms, first.headers["host"]) == ("answered", 1.0, "h")
    assert (first.request_bytes, messages[1].request_bytes) == (None, len(GET))
    assert drops == []


def test_a_response_whose_head_was_not_captured_whole_is_paired_and_says_so() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(LONG_OK, missing=1_000),
            talk.asks(GET.replace(b"/a", b"/b")),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "404")]
    assert remarks(messages)[0] == {"response_head": "not captured whole: 1000 bytes missing"}
    assert (messages[0].latency_ms, messages[0].response_bytes) == (1.0, None)
    assert drops == []


def test_every_segment_cut_in_its_head_gives_every_exchange() -> None:
    talk = Talk()
    segments = talk.open()
    for number in range(4):
        segments.append(talk.asks(LONG.replace(b"/a", b"/%d" % number), missing=9))
        segments.append(talk.answers(LONG_OK.replace(b"200", b"20%d" % number), missing=9))
        segments.append(talk.answers(b"of a body", missing=9))
    messages, drops = dissect(segments)
    assert brief(messages) == [(f"GET /{number}", f"20{number}") for number in range(4)]
    assert drops == ["gap"] * 4


def test_the_rest_of_a_cut_head_and_its_body_are_not_taken_for_heads() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(LONG.replace(b"GET", b"POST"), missing=9),
            talk.asks(b"c\r\nX: GET /x HTTP/1.1\r\n\r\nbody"),
            talk.answers(OK),
            talk.asks(GET),
            talk.answers(OK),
        ]
    )
    assert brief(messages) == [("POST /a", "200"), ("GET /a", "200")]
    assert drops == ["gap"]


def test_a_body_that_looks_like_a_response_is_none_where_nothing_was_asked() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(LONG, missing=9),
            talk.answers(LONG_OK, missing=9),
            talk.answers(FAKE),
            talk.answers(FAKE, missing=9),
            talk.asks(GET.replace(b"/a", b"/b")),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "404")]
    assert drops == ["gap", "gap"]


def test_a_body_of_announced_length_is_passed_over_behind_a_cut_head() -> None:
    talk = Talk()
    announced = LONG_OK.replace(b"Server: s", b"Content-Length: %d" % (len(FAKE) + 9))
    pipelined = GET.replace(b"/a", b"/b")
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET + pipelined),
            talk.answers(announced, missing=9),
            talk.answers(FAKE),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "404")]
    assert drops == []


def test_pipelined_requests_around_a_cut_head_keep_their_answers() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET + LONG.replace(b"/a", b"/b"), missing=9),
            talk.asks(GET.replace(b"/a", b"/c")),
            talk.answers(OK + OK.replace(b"200", b"404")),
            talk.answers(OK.replace(b"200", b"500")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "404"), ("GET /c", "500")]
    assert drops == []


def test_what_may_have_been_answered_in_missing_bytes_waits_no_longer() -> None:
    talk = Talk()
    messages, _ = dissect(
        [
            *talk.open(),
            talk.asks(GET + GET.replace(b"/a", b"/b")),
            talk.answers(LONG_OK, missing=1_000),
            talk.asks(GET.replace(b"/a", b"/c")),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", ""), ("GET /c", "404")]


def test_behind_a_cut_interim_answer_the_answer_is_waited_for_until_more_is_asked() -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: " + b"l" * 60
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(hints, missing=9),
            talk.answers(OK),
            talk.asks(GET.replace(b"/a", b"/b")),
            talk.answers(hints, missing=1_000),
            talk.asks(GET.replace(b"/a", b"/c")),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", ""), ("GET /c", "404")]
    assert drops == []


def test_the_cut_answer_to_head_has_no_body() -> None:
    talk = Talk()
    announced = LONG_OK.replace(b"Server: s", b"Content-Length: 9000")
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET.replace(b"GET", b"HEAD")),
            talk.answers(announced, missing=9),
            talk.asks(GET),
            talk.answers(OK),
        ]
    )
    assert brief(messages) == [("HEAD /a", "200"), ("GET /a", "200")]
    assert messages[0].response_bytes is None
    assert drops == []


def test_the_exchange_after_a_chunked_body_that_was_cut_is_whole() -> None:
    talk = Talk()
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc"
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(GET),
            talk.answers(chunked, missing=65_532),
            talk.asks(GET.replace(b"/a", b"/b")),
            talk.answers(OK.replace(b"200", b"404")),
        ]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /b", "404")]
    assert drops == []


def test_of_a_request_cut_in_its_first_line_only_the_answer_is_known() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            *talk.open(),
            talk.asks(b"GET /" + b"q" * 60, missing=9_000),
            talk.answers(OK.replace(b"200", b"414")),
            talk.asks(GET),
            talk.answers(OK),
        ]
    )
    assert brief(messages) == [("", "414"), ("GET /a", "200")]
    assert [message.session for message in messages] == ["unmatched", "answered"]
    assert drops == []


def test_what_breaks_http_is_malformed_and_does_not_end_the_flow() -> None:
    talk = Talk()
    messages, drops = dissect(
        [talk.asks(GET), talk.answers(OK), talk.asks(b"\0\1\2"), talk.asks(GET), talk.answers(OK)]
    )
    assert brief(messages) == [("GET /a", "200"), ("GET /a", "200")]
    assert drops == ["malformed"]


def test_a_head_without_end_is_dropped() -> None:
    talk = Talk()
    filler = b"X: " + b"a" * 30_000 + b"\r\n"
    start = talk.open()
    segments = [talk.asks(GET[:-2]), *(talk.asks(filler) for _ in range(3))]
    messages, drops = dissect([*start, *segments])
    assert messages == []
    assert drops == ["buffer_full"]


def test_flows_that_have_to_go_give_their_requests_up() -> None:
    talks = [Talk(port) for port in (1, 2, 3)]
    messages, _ = dissect(
        [talk.asks(GET) for talk in talks], Dissector(None, TrafficOptions(flow_capacity=2))
    )
    assert len(messages) == 3


pieces = st.sampled_from([GET, OK, GET + GET, b"\0\1", OK[:20], b"", b"POST"]) | st.binary(
    max_size=30
)


@pytest.mark.fuzz("conversations")
@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.booleans(), pieces, st.sampled_from([0, 0, 0, 7])),
        max_size=20,
    ),
    st.sampled_from([TCP, UDP]),
)
def test_any_conversation_is_dissected(sent: list[tuple[int, bool, bytes, int]], l4: int) -> None:
    talks = {port: Talk(port, l4) for port in (1, 2, 3)}
    segments = [
        talks[port].asks(payload, missing) if asks else talks[port].answers(payload, missing)
        for port, asks, payload, missing in sent
    ]
    messages, drops = dissect(segments)
    assert len(drops) <= len(segments)
    assert all(message.record("").as_json() for message in messages)
