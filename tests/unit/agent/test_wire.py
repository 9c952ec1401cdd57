"""Framing: every complete frame, in order, however the stream is cut; nothing else."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import wire
from engine.agent.wire import FrameReader, Frames, Slab, frame
from tests.unit.agent.support import VECTORS


def feed(reader: FrameReader, pieces: Iterable[bytes], slab: Slab | None = None) -> list[Frames]:
    """What the reader makes of bytes that arrive in those pieces, as from a pipe."""
    slab = slab or Slab()
    taken = []
    for piece in pieces:
        while piece:
            room = reader.room(slab)
            fresh = min(len(room), len(piece))
            room[:fresh] = piece[:fresh]
            taken.append(reader.advance(slab, fresh))
            piece = piece[fresh:]
    return taken


def bodies(taken: Iterable[Frames]) -> list[bytes]:
    """The frames' bodies; their prefixes must be right, and nothing may be between them."""
    found = []
    for frames in taken:
        offsets = wire.find_offsets(frames.data, frames.kept)
        assert offsets[-1] == len(frames.data)
        for begin, end in pairwise(offsets):
            assert frames.data[begin : begin + 4] == struct.pack("<I", end - begin - 4)
            found.append(frames.data[begin + 4 : end])
    return found


def losses(taken: Iterable[Frames]) -> dict[str, int]:
    total: dict[str, int] = {}
    for frames in taken:
        for reason, count in frames.dropped.items():
            total[reason] = total.get(reason, 0) + count
    return total


def test_finds_the_frames_of_a_stream_cut_at_every_byte() -> None:
    stream = bytes.fromhex(VECTORS["stream"]["hex"])
    by_id = {vector["id"]: vector for vector in VECTORS["records_good"]}
    wanted = [bytes.fromhex(by_id[name]["hex"])[4:] for name in VECTORS["stream"]["ids"]]
    for cut in range(len(stream) + 1):
        reader = FrameReader()
        assert bodies(feed(reader, [stream[:cut], stream[cut:]])) == wanted
        assert not reader.finish().dropped
    assert bodies(feed(FrameReader(), [bytes((byte,)) for byte in stream])) == wanted


EDGE_LENGTHS = (
    wire.LARGE_FRAME,
    wire.LARGE_FRAME + 1,
    wire.SLAB_BYTES - 4,
    wire.SLAB_BYTES,
    wire.SLAB_BYTES + 1,
)


def reference(stream: bytes, max_frame: int) -> tuple[list[bytes], dict[str, int], int]:
    """Kept bodies, losses and sent bytes, found one byte position after the other."""
    kept: list[bytes] = []
    lost = {wire.ZERO_LENGTH: 0, wire.OVER_LONG: 0, wire.TRUNCATED: 0}
    sent_bytes, position = 0, 0
    while position < len(stream):
        head = stream[position : position + 4]
        length = int.from_bytes(head, "little")
        body = stream[position + 4 : position + 4 + length]
        whole = len(head) == 4 and len(body) == length
        if len(head) == 4 and length > max_frame:
            lost[wire.OVER_LONG] += 1
            sent_bytes += length
        elif not whole:
            lost[wire.TRUNCATED] += 1
            sent_bytes += len(body)
        elif length == 0:
            lost[wire.ZERO_LENGTH] += 1
        else:
            kept.append(body)
            sent_bytes += length
        position += 4 + length
    return kept, {reason: count for reason, count in lost.items() if count}, sent_bytes


@pytest.mark.fuzz("frame walk")
@given(
    lengths=st.lists(st.integers(0, 40) | st.sampled_from(EDGE_LENGTHS), max_size=10),
    missing=st.integers(0, 70),
    cuts=st.lists(st.integers(0, 500_000), max_size=12),
)
def test_agrees_with_a_reader_that_goes_byte_by_byte(
    lengths: list[int], missing: int, cuts: list[int]
) -> None:
    max_frame = wire.SLAB_BYTES
    whole = b"".join(frame(bytes((index + 1,)) * size) for index, size in enumerate(lengths))
    stream = whole[: max(0, len(whole) - missing)]
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    reader = FrameReader(max_frame)
    taken = feed(reader, [stream[begin:end] for begin, end in pairwise(edges)])
    taken.append(reader.finish())
    kept, lost, sent_bytes = reference(stream, max_frame)
    assert bodies(taken) == kept
    assert losses(taken) == lost
    assert sum(frames.sent for frames in taken) == len(kept) + sum(lost.values())
    assert sum(frames.sent_bytes for frames in taken) == sent_bytes


@pytest.mark.fuzz("frame walk")
@given(st.binary(max_size=2_000), st.lists(st.integers(0, 2_000), max_size=8))
def test_any_bytes_in_any_pieces_are_taken_without_an_error(stream: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    reader = FrameReader()
    taken: list[Frames] = []
    for begin, end in pairwise(edges):
        taken += feed(reader, [stream[begin:end]])
        if taken[-1].lost_sync:
            break
    assert len(b"".join(bodies(taken))) <= len(stream)


def test_a_record_larger_than_a_read_is_put_together() -> None:
    large = bytes(range(256)) * 20_000
    stream = frame(b"before") + frame(large) + frame(b"behind")
    pieces = [stream[begin : begin + 65_536] for begin in range(0, len(stream), 65_536)]
    assert bodies(feed(FrameReader(), pieces)) == [b"before", large, b"behind"]


def test_an_over_long_record_is_skipped_and_the_next_one_is_read() -> None:
    long = b"x" * (wire.MAX_FRAME + 1)
    taken = feed(FrameReader(), [frame(b"before") + frame(long) + frame(b"behind")])
    assert bodies(taken) == [b"before", b"behind"]
    assert losses(taken) == {wire.OVER_LONG: 1}
    assert sum(frames.sent_bytes for frames in taken) == 12 + len(long)


def test_records_of_length_0_are_dropped_and_the_others_kept() -> None:
    taken = feed(FrameReader(), [frame(b"") + frame(b"a") + frame(b"") * 3 + frame(b"b")])
    assert bodies(taken) == [b"a", b"b"]
    assert losses(taken) == {wire.ZERO_LENGTH: 4}


@pytest.mark.parametrize("left", [1, 3, 4, 5, 9])
def test_a_stream_that_ends_within_a_frame_is_a_loss(left: int) -> None:
    reader = FrameReader()
    taken = feed(reader, [frame(b"whole"), frame(b"cut off")[:left]])
    assert bodies(taken) == [b"whole"]
    end = reader.finish()
    assert (end.sent, end.kept, end.dropped) == (1, 0, {wire.TRUNCATED: 1})
    assert reader.finish().sent == 0


def test_the_end_within_a_skipped_record_is_not_counted_twice() -> None:
    reader = FrameReader(max_frame=wire.SLAB_BYTES)
    taken = feed(reader, [frame(b"x" * (wire.SLAB_BYTES + 1))[:100]])
    assert losses(taken) == {wire.OVER_LONG: 1}
    assert reader.finish().sent == 0


def test_a_length_that_cannot_be_one_is_reported_after_what_came_before() -> None:
    taken = feed(FrameReader(), [frame(b"fine") + b"GET / HTTP/1.1\r\n"])
    assert bodies(taken) == [b"fine"]
    assert taken[-1].lost_sync == int.from_bytes(b"GET ", "little")
    assert losses(taken) == {wire.LOST_SYNC: 1}


# How much is read, and what of it is shown.


def test_no_more_is_read_at_a_time_than_asked_for() -> None:
    slab, reader = Slab(), FrameReader()
    assert len(reader.room(slab)) == wire.READ_BYTES
    assert len(reader.room(slab, 5_000)) == 5_000
    # A large frame under way is no exception.
    feed(reader, [frame(bytes(3 * wire.LARGE_FRAME))[:100]], slab)
    assert len(reader.room(slab, 5_000)) == 5_000


def test_a_read_of_tiny_frames_is_followed_by_short_ones_until_they_grow() -> None:
    slab, reader = Slab(), FrameReader()
    feed(reader, [frame(b"") * 1_000], slab)
    assert len(reader.room(slab)) == wire.SHORT_READ_BYTES
    feed(reader, [frame(bytes(200)) * 100], slab)
    assert len(reader.room(slab)) == wire.READ_BYTES


def test_empty_frames_are_shown_with_what_follows_them_but_not_all() -> None:
    stream = frame(b"a") + frame(b"") + frame(b"b" * 100) + frame(b"") * 20 + b"\x07"
    (taken,) = feed(FrameReader(), [stream])
    assert taken.dropped == {wire.ZERO_LENGTH: 21}
    assert [fault.reason for fault in taken.faults] == [wire.ZERO_LENGTH] * wire.FAULTS_SHOWN
    assert {fault.length for fault in taken.faults} == {0}
    assert taken.faults[0].head == stream[5 : 5 + wire.FAULT_BYTES]
    assert taken.faults[1].head == stream[113 : 113 + wire.FAULT_BYTES]
    assert taken.faults[-1].head.endswith(b"\x07")


def test_an_over_long_record_is_given_up_when_enough_of_it_can_be_shown() -> None:
    reader, long = FrameReader(), frame(b"x" * (wire.MAX_FRAME + 1))
    assert losses(feed(reader, [long[:10]])) == {}
    taken = feed(reader, [long[10:100]])
    assert losses(taken) == {wire.OVER_LONG: 1}
    assert taken[0].faults[0] == (wire.OVER_LONG, wire.MAX_FRAME + 1, long[: wire.FAULT_BYTES])


def test_an_over_long_record_of_which_little_came_is_one_all_the_same() -> None:
    reader, start = FrameReader(), frame(b"x" * (wire.MAX_FRAME + 1))[:10]
    feed(reader, [start])
    end = reader.finish()
    assert end.dropped == {wire.OVER_LONG: 1}
    assert end.sent_bytes == wire.MAX_FRAME + 1
    assert end.faults == ((wire.OVER_LONG, wire.MAX_FRAME + 1, start),)


@given(st.lists(st.binary(min_size=1, max_size=9), min_size=1, max_size=20), st.data())
def test_the_first_frames_are_taken_apart_from_the_rest(
    parts: list[bytes], data: st.DataObject
) -> None:
    whole = Frames(b"".join(map(frame, parts)), len(parts), {wire.ZERO_LENGTH: 2})
    count = data.draw(st.integers(0, len(parts)))
    first = whole.only_first(count, "no_room")
    assert bodies([first]) == parts[:count]
    assert first.dropped == {wire.ZERO_LENGTH: 2, "no_room": len(parts) - count}
    assert (first.sent, first.sent_bytes) == (whole.sent, whole.sent_bytes)
