"""The compiled loop over length prefixes finds what the loop in Python finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import compiled, wire
from engine.agent.compiled import CompiledSlab
from engine.agent.wire import SLAB_BYTES, frame, walk


@pytest.fixture(scope="module")
def slab() -> CompiledSlab:
    return CompiledSlab()


def follow(slab: CompiledSlab, data: bytes, begin: int) -> wire.Walked:
    """The compiled loop's answer; behind the data lies what is left of earlier reads."""
    slab.memory[: len(data)] = data
    return slab.walk(begin, len(data), wire.MANY_FRAMES)


@pytest.mark.fuzz("frame walk")
@given(
    st.lists(st.binary(max_size=12).map(frame) | st.binary(max_size=9), max_size=40).map(b"".join),
    st.integers(0, 30),
)
def test_agrees_with_the_loop_in_python(slab: CompiledSlab, data: bytes, begin: int) -> None:
    begin = min(begin, len(data))
    assert follow(slab, data, begin) == walk(data, begin)


@pytest.mark.parametrize(
    "tail", [b"", b"\xff" * 4, b"\xff\xff\xff\x7f", b"\xfb\xff\xff\xff", b"\x05\x00\x00\x00abcd"]
)
@pytest.mark.parametrize("filled", [SLAB_BYTES, SLAB_BYTES - 3, 100])
def test_lengths_that_reach_beyond_the_memory_end_the_walk(
    slab: CompiledSlab, tail: bytes, filled: int
) -> None:
    room = filled - len(tail)
    data = frame(bytes(room - 4)) + tail
    assert follow(slab, data, 0) == walk(data) == (1, 0, room)


def test_a_slab_full_of_empty_frames(slab: CompiledSlab) -> None:
    count = SLAB_BYTES // 4
    assert follow(slab, bytes(SLAB_BYTES), 0) == (count, count, SLAB_BYTES)


def test_few_frames_are_not_worth_a_call(
    slab: CompiledSlab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "_RESULT", None)
    slab.memory[:9] = frame(b"hello")
    assert slab.walk(0, 9, wire.MANY_FRAMES - 1) == (1, 0, 9)
