"""Records stay raw until somebody looks, and only the newest ones stay."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import decode
from engine.agent.store import Origin, PluginRecordStore
from engine.agent.wire import frame
from engine.core.records import Record, RecordRing
from tests.unit.agent.support import record_frame

ORIGIN = Origin("demo", 4242, "demo-main")


def chunk(*fields: dict[str, str]) -> tuple[bytes, int]:
    """Frames as they come from one read, and how many."""
    return b"".join(record_frame(one, 7000, 1_700_000_000) for one in fields), len(fields)


def append(store: PluginRecordStore, *numbers: int) -> None:
    store.append(ORIGIN, 5, *chunk(*({"n": str(number)} for number in numbers)))


def numbers(records: tuple[Record, ...]) -> list[tuple[int, str]]:
    found = []
    for record in records:
        fields = record.get("fields")
        assert isinstance(fields, dict)
        found.append((record.seq, fields["n"]))
    return found


def test_a_record_has_every_field_of_its_kind() -> None:
    store = PluginRecordStore(10)
    append(store, 1)
    (record,) = store.since(0).records
    assert record.as_json() == {
        "kind": "plugin_record",
        "seq": 1,
        "ts": "1970-01-01T00:00:00.000000005Z",
        "pid": 4242,
        "comm": "demo-main",
        "plugin": "demo",
        "data_type": 7000,
        "timestamp": 1_700_000_000,
        "fields": {"n": "1"},
        "faults": (),
        "agent_reading": None,
        "size": 19,
    }


def test_readers_pull_by_number_across_chunks() -> None:
    store = PluginRecordStore(100)
    append(store, 1, 2, 3)
    append(store, 4)
    append(store, 5, 6)
    batch = store.since(1, 3)
    assert numbers(batch.records) == [(2, "2"), (3, "3"), (4, "4")]
    assert (batch.last_seq, batch.missed) == (4, 0)
    rest = store.since(batch.last_seq)
    assert numbers(rest.records) == [(5, "5"), (6, "6")]
    assert store.since(6) == store.since(6, 1)
    assert (store.since(6).records, store.since(6).last_seq) == ((), 6)


@given(
    sizes=st.lists(st.integers(1, 9), max_size=20),
    capacity=st.integers(1, 30),
    seq=st.integers(0, 120),
    limit=st.integers(1, 50),
)
def test_answers_as_a_ring_of_decoded_records_would(
    sizes: list[int], capacity: int, seq: int, limit: int
) -> None:
    store, ring = PluginRecordStore(capacity), RecordRing(capacity)
    count = 0
    for size in sizes:
        append(store, *range(count, count + size))
        values = [("", 0, 0, {"n": str(number)}, ()) for number in range(count, count + size)]
        ring.extend(Record("plugin_record", 0, 0, None, None, one) for one in values)
        count += size
    mine, wanted = store.since(seq, limit), ring.since(seq, limit)
    assert numbers(mine.records) == numbers(wanted.records)
    assert (mine.last_seq, mine.missed) == (wanted.last_seq, wanted.missed)
    assert store.last_seq == ring.last_seq


def test_old_records_go_when_there_are_too_many_bytes() -> None:
    data, count = chunk({"n": "x" * 50})
    store = PluginRecordStore(1_000, max_bytes=len(data) * 4)
    for _ in range(10):
        store.append(ORIGIN, 0, data, count)
    batch = store.since(0)
    assert [record.seq for record in batch.records] == [7, 8, 9, 10]
    assert batch.missed == 6


def test_the_newest_chunk_stays_even_if_it_is_too_large_alone() -> None:
    data, count = chunk({"n": "1"})
    store = PluginRecordStore(10, max_bytes=1)
    store.append(ORIGIN, 0, data, count)
    store.append(ORIGIN, 0, data, count)
    assert [record.seq for record in store.since(0).records] == [2]


def test_memory_does_not_grow_with_what_has_passed() -> None:
    store = PluginRecordStore(100)
    for number in range(5_000):
        append(store, number)
    size = len(record_frame({"n": "4999"}, 7000, 1_700_000_000))
    assert len(store._chunks) < 800
    assert sum(len(one.data) for one in store._chunks) <= 100 * size
    assert numbers(store.since(4_999).records) == [(5_000, "4999")]


def test_the_bytes_of_a_record_are_there_as_long_as_the_record_is() -> None:
    store = PluginRecordStore(4)
    for number in range(0, 6, 2):
        append(store, number, number + 1)
    bodies = [record_frame({"n": str(n)}, 7000, 1_700_000_000)[4:] for n in range(6)]
    assert [store.raw(seq) for seq in range(1, 8)] == [None, None, *bodies[2:], None]
    assert store.raw(0) is None


def test_what_an_agent_would_read_depends_on_the_record_behind() -> None:
    nil = frame(bytes.fromhex("088d4e1084e2cfaa06"))
    good = record_frame({"n": "1"}, 7000, 1_700_000_000)
    store = PluginRecordStore(10)
    store.append(ORIGIN, 0, nil + good, 2)
    first, second = store.since(0).records
    assert first.get("faults") == (decode.NO_PAYLOAD,)
    assert first.get("agent_reading") == (
        "a real agent would have found no payload, eaten 1 byte of the next frame, "
        "read 134217728 as the next length, and crashed on sending its batch"
    )
    assert (second.get("faults"), second.get("agent_reading")) == ((), None)


def test_hostile_text_is_made_visible() -> None:
    store = PluginRecordStore(10)
    store.append(ORIGIN, 0, *chunk({"\x1b[2J": "a\r\nb", "name": "x\u202egnp.exe"}))
    raw = frame(bytes.fromhex("088a4e1088e2cfaa061a0d0a0b0a03726177120461fffe62"))
    store.append(ORIGIN, 0, raw, 1)
    first, second = store.since(0).records
    assert first.get("fields") == {"␛[2J": "a␍␊b", "name": "x\\u202egnp.exe"}
    assert second.get("fields") == {"raw": "a\\xff\\xfeb"}


def test_bytes_that_are_no_record_are_shown_as_that() -> None:
    store = PluginRecordStore(10)
    store.append(ORIGIN, 0, frame(b"\xff"), 1)
    (record,) = store.since(0).records
    told = "a real agent would have read on in the next frame and lost the stream"
    assert record.values == ("demo", None, None, {}, (decode.NOT_PROTOBUF,), told, 1)


def test_a_reader_beside_a_writer_sees_every_number_once_or_as_missed() -> None:
    store = PluginRecordStore(500)
    total = 20_000

    def write() -> None:
        for number in range(0, total, 10):
            append(store, *range(number + 1, number + 11))

    writer = threading.Thread(target=write)
    writer.start()
    seq, got, missed = 0, 0, 0
    while seq < total:
        batch = store.since(seq, 700)
        assert batch.last_seq - seq == len(batch.records) + batch.missed
        assert all(int(text) == number for number, text in numbers(batch.records))
        seq, got, missed = batch.last_seq, got + len(batch.records), missed + batch.missed
    writer.join()
    assert got + missed == total


def test_refuses_to_keep_nothing() -> None:
    with pytest.raises(ValueError, match="room for one"):
        PluginRecordStore(0)
