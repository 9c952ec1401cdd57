"""HTTP/1 heads: split, pipelined, hostile, and never more than the bytes say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import CaptureError
from engine.traffic.http1 import RequestHead, RequestStream, ResponseHead, ResponseStream
from engine.traffic.http_heads import MAX_HEAD, HeadTooLong, MalformedHttp, OutOfStep

GET = b"GET /a?b=1 HTTP/1.1\r\nHost: h.test\r\nUSER-agent: me\r\nReferer: r\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde"
CHUNKED = b"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def requests(*pieces: bytes) -> list[RequestHead]:
    """The requests in a stream that comes in pieces."""
    stream = RequestStream()
    return [head for piece in pieces for head in stream.feed(piece)]


def targets(*pieces: bytes) -> list[tuple[str, bytes]]:
    """Their methods and targets."""
    return [(head.method, head.target) for head in requests(*pieces)]


def test_a_request_line_and_the_headers_that_matter() -> None:
    assert requests(GET) == [RequestHead("GET", b"/a?b=1", b"h.test", b"me", b"r", GET, len(GET))]


def test_the_first_of_a_repeated_header_counts_and_a_missing_one_is_empty() -> None:
    head = requests(b"GET / HTTP/1.0\r\nHost: one\r\nHost: two\r\n\r\n")[0]
    assert (head.host, head.user_agent) == (b"one", b"")


def test_requests_follow_each_other_on_one_connection() -> None:
    assert targets(GET, POST, CHUNKED, GET) == [
        ("GET", b"/a?b=1"),
        ("POST", b"/p"),
        ("PUT", b"/c"),
        ("GET", b"/a?b=1"),
    ]


def test_pipelined_requests_are_all_found_and_each_has_its_own_payload() -> None:
    first, second, third = requests(GET + POST + GET)
    assert first.payload == GET + POST + GET
    assert second.payload == POST + GET
    assert third.payload == GET


@pytest.mark.fuzz("HTTP")
@given(st.data())
def test_a_stream_gives_the_same_requests_however_it_is_split(data: st.DataObject) -> None:
    whole = GET + POST + CHUNKED + GET
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=8)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert targets(*pieces) == targets(whole)


def test_a_split_head_has_all_its_bytes_in_the_payload() -> None:
    (head,) = requests(GET[:10], GET[10:30], GET[30:] + b"POST")
    assert head.payload == GET + b"POST"


def test_a_body_in_its_own_segment_is_not_in_the_payload() -> None:
    assert requests(POST[:-5], POST[-5:])[0].payload == POST[:-5]


@pytest.mark.parametrize(
    "target", [b"/\x1b[31m", b"/\xff\xfe", "/é/\u202e".encode(), b"/\x7f", b"/\t", b"*"]
)
def test_a_hostile_target_comes_through_unchanged(target: bytes) -> None:
    line = b"GET " + target + b" HTTP/1.1\r\nUser-Agent: \x1b[0m\xff\r\n\r\n"
    for pieces in ([line], [line[:5], line[5:7], line[7:]]):
        (head,) = requests(*pieces)
        assert (head.target, head.user_agent) == (target, b"\x1b[0m\xff")


def test_the_request_after_a_hostile_body_is_found() -> None:
    body = bytes(range(256))
    first = b"POST / HTTP/1.1\r\nContent-Length: 256\r\n\r\n" + body
    assert targets(first + GET)[1] == ("GET", b"/a?b=1")


def test_bare_line_feeds_are_accepted() -> None:
    assert targets(b"GET / HTTP/1.1\nHost: h\n\n") == [("GET", b"/")]


def test_an_upgrade_that_is_only_asked_for_does_not_end_the_stream() -> None:
    asking = b"GET /up HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert targets(asking + GET) == targets(asking, GET) == [("GET", b"/up"), ("GET", b"/a?b=1")]


@pytest.mark.parametrize(
    "data",
    [
        b"BOX1 1 GET key\n",
        b"\x16\x03\x01",
        b"GET / FTP/1.1\r\n\r\n",
        b"DESCRIBE rtsp://h/HTTP/1.1 RTSP/1.0\r\nCSeq: 1\r\n\r\n",
        b"SOURCE /m ICE/1.0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedHttp):
        requests(data)


def test_a_head_without_end_is_given_up() -> None:
    with pytest.raises(HeadTooLong):
        requests(b"GET / HTTP/1.1\r\n", *[b"X-Filler: " + b"a" * 1_000 + b"\r\n"] * 100)
    almost = b"GET / HTTP/1.1\r\nX: " + b"a" * (MAX_HEAD - 100)
    assert len(requests(almost, b"\r\n\r\n")) == 1


def responses(*pieces: bytes) -> list[ResponseHead]:
    """The responses in a stream."""
    stream = ResponseStream()
    return [head for piece in pieces for head in stream.feed(piece)]


def test_responses_with_and_without_body() -> None:
    stream = (
        b"HTTP/1.1 100 Continue\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
        b"HTTP/1.1 204 No Content\r\n\r\n"
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"
        b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
        b"HTTP/1.0 404 \r\n\r\nuntil the end"
    )
    assert [head.status for head in responses(stream)] == [100, 200, 204, 304, 500, 404]


def test_a_response_to_head_has_no_body_whatever_it_says() -> None:
    one = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n"
    stream = ResponseStream()
    found = []
    for head in stream.feed(one + one):
        found.append(head.status)
        stream.skip_body()
    assert found == [200, 200]


@pytest.mark.parametrize("together", [True, False], ids=["one segment", "two segments"])
def test_what_follows_a_response_to_head_does_not_begin_with_it(together: bool) -> None:
    bare = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    full = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno"
    stream = ResponseStream()
    heads: list[ResponseHead] = []
    for piece in [bare + full] if together else [bare, full]:
        for head in stream.feed(piece):
            if not heads:
                stream.skip_body()
            heads.append(head)
    assert [head.status for head in heads] == [200, 404]
    assert (heads[1].payload, heads[1].size) == (full, len(full))


@pytest.mark.fuzz("HTTP")
@settings(deadline=None)
@given(
    st.lists(
        st.binary(max_size=60) | st.sampled_from([GET, POST, CHUNKED, GET[:20], b"HTTP/1.1 200 "]),
        max_size=6,
    ),
    st.booleans(),
)
def test_any_bytes_give_heads_or_the_declared_errors(pieces: list[bytes], asks: bool) -> None:
    stream = RequestStream() if asks else ResponseStream()
    heads: list[object] = []
    try:
        for piece in pieces:
            heads.extend(stream.feed(piece))
    except CaptureError:
        pass
    assert len(heads) <= len(b"".join(pieces)) // 16


def test_a_request_whose_head_was_cut_is_made_of_what_is_there() -> None:
    stream = RequestStream()
    captured = GET[: GET.index(b"me")]
    assert list(stream.feed(captured)) == []
    assert not stream.skip(50)
    assert stream.cut(50) == RequestHead(
        "GET", b"/a?b=1", b"h.test", b"", b"", captured, None, missing=50
    )


@pytest.mark.parametrize("captured", [b"HTTP/1.1 404 ", b"HTTP/1.1 404 Not", OK[:30]])
def test_a_response_whose_head_was_cut_has_the_status_that_is_there(captured: bytes) -> None:
    stream = ResponseStream()
    assert list(stream.feed(captured)) == []
    assert not stream.skip(50)
    status = int(captured.split()[1])
    assert stream.cut(50) == ResponseHead(status, captured, None, None, missing=50)


@pytest.mark.parametrize("captured", [b"", b"GET /a", GET[:18], b"\r\n"])
def test_of_a_request_cut_in_its_first_line_nothing_is_said(captured: bytes) -> None:
    stream = RequestStream()
    assert list(stream.feed(captured)) == []
    assert not stream.skip(50)
    assert stream.cut(50) is None


@pytest.mark.parametrize("status", [b"HTTP/1.", b"HTTP/1.1 40", b"HTTP/1.1 404"])
def test_of_a_response_cut_in_its_status_nothing_is_said(status: bytes) -> None:
    stream = ResponseStream()
    assert list(stream.feed(status)) == []
    assert stream.cut(50) is None


@pytest.mark.parametrize("text", [b"a: b\r\n\r\n", b"x" + GET, b"GET GET\r\n\r\n", GET[:9], OK])
def test_behind_missing_bytes_only_a_start_line_is_taken(text: bytes) -> None:
    stream = RequestStream(lost=True)
    with pytest.raises(OutOfStep):
        list(stream.feed(text))
    assert [head.target for head in stream.feed(GET + POST)] == [b"/a?b=1", b"/p"]


def test_a_body_of_announced_length_behind_a_cut_head_is_passed_over_as_far_as_it_is_certain() -> (
    None
):
    stream = RequestStream()
    assert list(stream.feed(b"POST /p HTTP/1.1\r\nContent-Length: 100\r\nCookie: a")) == []
    head = stream.cut(30)
    assert head is not None
    assert head.size is None
    assert list(stream.feed(GET[:40])) == []  # 40 of the 70 that are certainly of the body
    assert stream.skip(10)
    assert list(stream.feed(b"x" * 19)) == []
    with pytest.raises(OutOfStep):  # the last of them, and what begins nowhere
        list(stream.feed(b"x" + GET))
    assert [found.target for found in stream.feed(GET)] == [b"/a?b=1"]


@pytest.mark.parametrize(
    "captured",
    [
        b"HTTP/1.1 204 No Content\r\nContent-Length: 100\r\nX: y",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 100\r\nX: y",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10",
    ],
)
def test_of_a_body_of_unknown_length_nothing_is_certain(captured: bytes) -> None:
    stream = ResponseStream()
    assert list(stream.feed(captured)) == []
    assert stream.cut(1) is not None
    assert not stream.in_body
    assert [head.status for head in stream.feed(OK)] == [200]
