"""Frames: what was put in comes out, however it was cut; nothing else comes out at all."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import AttachError
from engine.remote.frames import LARGEST_REQUEST, FrameReader, encode

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
MESSAGES = st.lists(
    st.builds(lambda type_, value: {"type": type_, "value": value}, st.text(max_size=10), PLAIN),
    max_size=5,
)


@pytest.mark.fuzz("attach protocol")
@settings(max_examples=100)
@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1))
def test_messages_come_out_as_they_went_in_however_they_are_cut(
    messages: list[dict[str, object]], cuts: list[int]
) -> None:
    stream = b"".join(map(encode, messages))
    reader = FrameReader(LARGEST_REQUEST)
    found: list[object] = []
    step = 0
    while stream:
        size = cuts[step % len(cuts)]
        found += reader.feed(stream[:size])
        stream, step = stream[size:], step + 1
    assert found == messages


@pytest.mark.fuzz("attach protocol")
@settings(max_examples=200)
@given(st.binary(max_size=200), st.integers(0, 60))
def test_garbage_is_refused_in_words_or_waited_for(garbage: bytes, at: int) -> None:
    whole = encode({"type": "call", "id": 1, "command": "explain", "arguments": {"pid": 1}})
    stream = whole[:at] + garbage + whole[at:]
    reader = FrameReader(1_000)
    with suppress(AttachError):
        for message in reader.feed(stream):
            assert isinstance(message["type"], str)


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"[]", b"{}", b'{"type":5}', b"[" * 100_000, b"9" * 10_000, b'"\xff"', b"\x00"],
    ids=["empty", "text", "list", "untyped", "number", "deep", "long", "bytes", "nul"],
)
def test_a_frame_that_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(AttachError):
        list(FrameReader(LARGEST_REQUEST).feed(struct.pack("!I", len(body)) + body))


def test_a_frame_longer_than_allowed_is_refused_before_it_has_come() -> None:
    reader = FrameReader(100)
    assert list(reader.feed(struct.pack("!I", 100))) == []
    with pytest.raises(AttachError, match="a frame of 101 bytes; 1 to 100 are allowed"):
        list(FrameReader(100).feed(struct.pack("!I", 101)))


def test_what_came_before_the_garbage_is_delivered() -> None:
    reader = FrameReader(100)
    stream = reader.feed(encode({"type": "bye"}) + b"\xff" * 8)
    assert next(stream) == {"type": "bye"}
    with pytest.raises(AttachError):
        next(stream)


@settings(max_examples=100)
@given(st.text(), st.text())
def test_a_frame_is_ascii_whatever_text_it_carries(key: str, value: str) -> None:
    frame = encode({"type": "x", key or "k": value})
    assert json.loads(frame[4:].decode("ascii")) == {"type": "x", key or "k": value}
