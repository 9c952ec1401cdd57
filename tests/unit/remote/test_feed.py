"""What one console is told: in order, bounded, and every record told or counted as lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.fields import JsonValue
from engine.remote.feed import (
    BEHIND,
    FRAMES,
    LATE_NS,
    PER_WINDOW,
    SAMPLED,
    TOO_FAST,
    TOO_LARGE,
    WINDOW_NS,
    Feed,
)
from engine.remote.frames import LARGEST_ANSWER, FrameReader, Message
from engine.remote.mirror import MirrorStore
from engine.remote.wire import LARGEST_RECORD, records_from
from tests.ui.fake_engine import NOW_NS, FakeEngine, record


def log(text: JsonValue = "x") -> object:
    return record("log", source="a", level="info", text=text)


def look(feed: Feed, now_ns: int) -> list[Message]:
    stream = b"".join(feed.frames(now_ns, NOW_NS))
    return list(FrameReader(LARGEST_ANSWER).feed(stream))


def numbers(messages: list[Message]) -> list[int]:
    return [
        one.seq
        for message in messages
        if message["type"] == "records"
        for one in records_from(message["kind"], message["records"])
    ]


def emit(engine: FakeEngine, count: int) -> None:
    engine.emit(*(record("log", source="a", level="info", text=str(n)) for n in range(count)))


def test_everything_is_told_once_and_in_order() -> None:
    engine = FakeEngine()
    emit(engine, 10)
    feed = Feed(engine, {"log": 4}, every=False)
    first = look(feed, 1)
    assert numbers(first) == [5, 6, 7, 8, 9, 10]
    assert first[-1] == {
        "type": "reached",
        "kind": "log",
        "seq": 10,
        "lost": {},
        "bodies": {},
    }
    assert look(feed, 2) == []
    emit(engine, 2)
    assert numbers(look(feed, 3)) == [11, 12]
    counters = feed.tally.read()
    assert (counters.seen, counters.kept, counters.dropped_total) == (8, 8, 0)


def test_what_comes_faster_than_is_told_waits_a_little() -> None:
    engine = FakeEngine()
    feed = Feed(engine, {"log": 0}, every=False)
    emit(engine, PER_WINDOW + 500)
    assert numbers(look(feed, 0))[-1] == PER_WINDOW
    assert not feed.behind()
    assert look(feed, WINDOW_NS - 1) == []
    assert numbers(look(feed, WINDOW_NS)) == list(range(PER_WINDOW + 1, PER_WINDOW + 501))
    assert feed.tally.read().dropped == {}


def test_of_a_flood_the_newest_are_told_and_the_others_counted() -> None:
    engine = FakeEngine()
    feed = Feed(engine, {"log": 0}, every=False)
    emit(engine, 9_000)
    assert numbers(look(feed, 0)) == list(range(9_001 - SAMPLED, 9_001))
    emit(engine, 100)
    assert look(feed, 1) == []
    counters = feed.tally.read()
    assert counters.dropped == {TOO_FAST: 9_000 - SAMPLED}
    assert counters.balanced


def test_who_wants_every_record_is_told_every_record() -> None:
    engine = FakeEngine()
    feed = Feed(engine, {"log": 0}, every=True)
    emit(engine, 9_000)
    told = numbers(look(feed, 0))
    while feed.behind():
        told += numbers(look(feed, 0))
    assert told == list(range(1, 9_001))


def test_what_the_engine_has_forgotten_meanwhile_is_counted() -> None:
    engine = FakeEngine(capacity=100)
    feed = Feed(engine, {"log": 0}, every=True)
    emit(engine, 250)
    assert numbers(look(feed, 0)) == list(range(151, 251))
    assert feed.tally.read().dropped == {BEHIND: 150}
    assert feed.tally.read().seen == 250


def test_a_console_that_was_late_is_told_apart_from_a_flood() -> None:
    engine = FakeEngine()
    feed = Feed(engine, {"log": 0}, every=False)
    look(feed, 1)
    emit(engine, 9_000)
    look(feed, 1 + 2 * LATE_NS)
    assert feed.tally.read().dropped == {BEHIND: 9_000 - SAMPLED}


def test_a_record_longer_than_any_frame_is_counted_and_leaves_a_gap() -> None:
    engine = FakeEngine()
    feed = Feed(engine, {"log": 0}, every=False)
    engine.emit(record("log", text="a"), record("log", text="x" * LARGEST_RECORD), record("log"))
    assert numbers(look(feed, 0)) == [1, 3]
    assert feed.tally.read().dropped == {TOO_LARGE: 1}
    assert feed.tally.read().balanced


def test_the_bytes_of_the_newest_plugin_records_come_along() -> None:
    engine = FakeEngine()
    engine.emit(*(record("plugin_record", plugin="p") for _ in range(FRAMES + 10)))
    for seq in range(1, FRAMES + 11):
        engine.keep_frame(seq, bytes([seq]))
    reached = look(Feed(engine, {"plugin_record": 0}, every=False), 0)[-1]
    assert sorted(map(int, reached["bodies"])) == list(range(11, FRAMES + 11))
    assert look(Feed(engine, {"plugin_record": 0}, every=True), 0)[-1]["bodies"] == {}


def test_large_lots_are_several_frames() -> None:
    engine = FakeEngine()
    engine.emit(*(record("log", text="x" * 100_000) for _ in range(20)))
    messages = look(Feed(engine, {"log": 0}, every=False), 0)
    assert len(messages) > 5
    assert numbers(messages) == list(range(1, 21))


@settings(max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 6_000), st.integers(0, 2 * LATE_NS)), max_size=12),
    st.booleans(),
)
def test_told_and_lost_are_all_there_was_and_the_mirror_agrees(
    steps: list[tuple[int, int]], every: bool
) -> None:
    engine = FakeEngine(capacity=3_000)
    feed, mirror, now_ns, told = Feed(engine, {"log": 0}, every=every), MirrorStore(), 0, 0
    one = record("log")
    for count, pause_ns in steps:
        engine.emit(*(record("log") for _ in range(count % 50)), *[one] * (count > 3_000))
        now_ns += pause_ns
        for message in look(feed, now_ns):
            if message["type"] == "records":
                records = records_from("log", message["records"])
                told += len(records)
                mirror.take(records)
            else:
                mirror.reach(message["seq"])
    counters = feed.tally.read()
    assert counters.balanced
    assert (counters.kept, counters.seen) == (told, feed.cursors["log"])
    missed = read = seq = 0
    while seq < mirror.last_seq:
        batch = mirror.since(seq)
        missed, read, seq = missed + batch.missed, read + len(batch.records), batch.last_seq
    assert (read, missed) == (counters.kept, counters.dropped_total)
