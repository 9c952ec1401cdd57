"""What an engine delivers is in the file, or counted; whatever happens to the file."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import RecordingError, UsageError
from engine.core.fields import Field, JsonValue, RecordKind
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.progress import Tasks, by_asking
from engine.core.records import Batch, Record, RecordRing, new_record
from engine.core.sanitise import clean
from engine.core.snapshot import HostFacts, Snapshot
from engine.recording.file import RecordingFile
from engine.recording.options import RecordingOptions
from engine.recording.recorder import Recorder
from engine.recording.redaction import FIELDS, HIDDEN
from tests.waiting import wait_until

SECOND = 1_000_000_000


class Rings:
    """An engine's face over rings that a test fills."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.rings = {kind: RecordRing(capacity) for kind in KINDS}
        self.held = False
        self.rows: dict[str, tuple[Record, ...]] = {}

    def add(self, kind: str, ts_ns: int = SECOND, **values: JsonValue) -> Record:
        record = new_record(KINDS[kind], values, ts_ns=ts_ns, pid=1, comm="x")
        self.rings[kind].append(record)
        return record

    def snapshot(self) -> Snapshot:
        return Snapshot(SECOND, 0.0, HostFacts("box", "6.18", "root"), {}, self.rows, 0.0, 0)

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        return self.rings[kind].since(seq, limit)

    def last_seq(self, kind: str) -> int:
        return 0 if self.held else self.rings[kind].last_seq


def wait_kept(recorder: Recorder, number: int, deadline_s: float = 10.0) -> None:
    """Wait until a recorder has kept so many records."""
    wait_until(lambda: recorder.counters.kept == number, deadline_s)


def recorded(path: Path, rings: Rings, options: RecordingOptions | None = None) -> Recorder:
    """A recording of all that the rings hold, ended."""
    recorder = Recorder(rings, path, options)
    with Tasks().begin("writing") as task:
        recorder.write_memory(task)
    return recorder


def started(path: Path, rings: Rings, options: RecordingOptions | None = None) -> Recorder:
    """A recording that has begun, before anything has come."""
    recorder = Recorder(rings, path, options)
    recorder.start()
    return recorder


def read(path: Path) -> list[Record]:
    file = RecordingFile.open(path)
    try:
        return list(file.in_order({}, file.kinds))
    finally:
        file.close()


def value_of(field: Field) -> st.SearchStrategy[JsonValue]:
    """Any value a field may hold."""
    text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(clean)
    leaves = st.none() | st.booleans() | st.integers(-(2**63), 2**64) | text
    of_type: dict[str, st.SearchStrategy[JsonValue]] = {
        "int": st.integers(-(2**63), 2**64),
        "float": st.floats(allow_nan=False, allow_infinity=False),
        "text": text,
        "bool": st.booleans(),
        "list": st.lists(leaves | st.dictionaries(text, leaves, max_size=3), max_size=3),
        "map": st.dictionaries(text, leaves | st.lists(leaves, max_size=2), max_size=3),
    }
    return st.none() | of_type[field.type]


def record_of(kind: RecordKind) -> st.SearchStrategy[Record]:
    """Any record of a kind."""
    return st.builds(
        lambda values, ts_ns, pid: Record(kind.name, 0, ts_ns, pid, None, values),
        st.tuples(*map(value_of, kind.fields)),
        st.integers(0, 2**62),
        st.none() | st.integers(0, 2**31),
    )


RECORDS = {name: record_of(kind) for name, kind in KINDS.items()}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(sorted(KINDS)).flatmap(RECORDS.__getitem__), max_size=4))
def test_every_record_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, records: list[Record]
) -> None:
    rings = Rings()
    for record in records:
        rings.rings[record.kind].append(record)
    path = tmp_path_factory.mktemp("recording") / "r.db"
    recorder = recorded(path, rings)
    back = read(path)
    order = sorted(records, key=lambda record: (record.kind, record.seq))
    assert [record.as_json() for record in sorted(back, key=lambda r: (r.kind, r.seq))] == [
        record.as_json() for record in order
    ]
    assert recorder.counters.kept == recorder.counters.seen == len(records)


def test_the_file_is_private_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    recorded(path, Rings())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(RecordingError, match="there is a file"):
        Recorder(Rings(), path)
    with pytest.raises(RecordingError, match="No such file or directory"):
        Recorder(Rings(), tmp_path / "none" / "r.db")


def test_it_begins_with_what_comes_but_with_the_tables_as_they_are(tmp_path: Path) -> None:
    rings = Rings()
    rings.add("kernel_event", name="before")
    rings.add("process", change="created", start=1)
    rings.add("process", change="changed", start=1)
    rings.rows["process"] = (rings.add("process", ts_ns=5, change="created", start=2),)
    recorder = started(tmp_path / "r.db", rings)
    rings.add("kernel_event", name="after")
    rings.add("process", change="deleted", start=2)
    recorder.stop()
    assert [
        (record.kind, record.seq, record.get("start")) for record in read(recorder.path)[:2]
    ] == [
        ("process", 3, 2),
        ("process", 4, 2),
    ]
    assert read(recorder.path)[2].get("name") == "after"


def test_tables_whose_rows_are_still_to_be_told_are_not_told_twice(tmp_path: Path) -> None:
    rings = Rings()
    rings.rows["process"] = (new_record(KINDS["process"], {"start": 1}, ts_ns=1, pid=1),)
    recorder = started(tmp_path / "r.db", rings)
    rings.add("process", change="created", start=1)
    recorder.stop()
    assert [record.seq for record in read(recorder.path)] == [1]


def test_what_the_engine_remembers_is_written_with_the_rows_it_has_forgotten(
    tmp_path: Path,
) -> None:
    rings = Rings(capacity=5)
    old = rings.add("process", change="created", start=1)
    for number in range(8):
        new = rings.add("process", ts_ns=(10 + number) * SECOND, change="changed", start=2)
    rings.rows["process"] = (old, new)
    recorder = recorded(tmp_path / "r.db", rings)
    rows = [
        (record.seq, record.get("start"), record.ts_ns // SECOND) for record in read(recorder.path)
    ]
    assert rows == [(4, 1, 13), (5, 2, 13), (6, 2, 14), (7, 2, 15), (8, 2, 16), (9, 2, 17)]
    assert (recorder.counters.seen, recorder.counters.kept) == (6, 6)
    file = RecordingFile.open(recorder.path)
    assert file.meta["forgotten"] == '{"process": 4}'
    file.close()


def test_records_that_left_the_engine_before_they_were_written_are_counted(tmp_path: Path) -> None:
    rings = Rings(capacity=10)
    rings.held = True
    recorder = started(tmp_path / "r.db", rings)
    for _ in range(25):
        rings.add("log", text="x")
    rings.held = False
    recorder.stop()
    counters = recorder.counters
    assert (counters.seen, counters.kept, dict(counters.dropped)) == (25, 10, {"engine_forgot": 15})
    with sqlite3.connect(recorder.path) as database:
        assert database.execute("SELECT kind, number, reason FROM losses").fetchall() == [
            ("log", 15, "engine_forgot")
        ]


def limit_pages(recorder: Recorder) -> None:
    """Leave the file no room to grow: what SQLite then says is what it says of a full disk."""
    (pages,) = recorder._database.execute("PRAGMA page_count").fetchone()
    recorder._database.execute(f"PRAGMA max_page_count = {pages}")


@pytest.mark.fault("disk full while recording")
def test_a_disk_without_room_costs_nothing_that_the_engine_remembers(tmp_path: Path) -> None:
    rings = Rings()
    recorder = Recorder(rings, tmp_path / "r.db")
    limit_pages(recorder)
    recorder.start()
    for number in range(2_000):
        rings.add("log", text=f"{number} {'x' * 100}")
    wait_until(lambda: recorder.status().state == "degraded")
    reason = recorder.status().reason
    assert "full" in reason
    assert re.search(r"; [1-9][0-9,]* records wait$", reason)
    recorder._database.execute("PRAGMA max_page_count = 100000")
    wait_until(lambda: recorder.counters.kept == 2_000)
    recorder.stop()
    assert len(read(recorder.path)) == 2_000


@pytest.mark.fault("disk full while recording")
def test_what_never_could_be_written_is_counted(tmp_path: Path) -> None:
    rings = Rings()
    recorder = Recorder(rings, tmp_path / "r.db")
    limit_pages(recorder)
    recorder.start()
    for number in range(2_000):
        rings.add("log", text=f"{number} {'x' * 100}")
    wait_until(lambda: recorder.status().state == "degraded")
    recorder.stop()
    status = recorder.status()
    assert (status.state, status.counters.seen) == ("failed", 2_000)
    assert status.counters.dropped == {"not_written": 2_000}
    assert read(recorder.path) == []


@pytest.mark.fault("recording removed while it is written")
def test_a_file_that_was_removed_is_told_and_what_comes_then_is_counted(tmp_path: Path) -> None:
    rings = Rings()
    recorder = started(tmp_path / "r.db", rings)
    recorder.path.unlink()
    wait_until(lambda: recorder.status().state == "failed")
    assert "removed or replaced" in recorder.status().reason
    rings.add("log", text="x")
    wait_until(lambda: recorder.counters.dropped == {"not_written": 1})
    recorder.stop()
    assert recorder.status().state == "failed"


def test_the_counters_of_each_kind_are_the_records_in_the_file(tmp_path: Path) -> None:
    rings = Rings()
    recorder = started(tmp_path / "r.db", rings)
    for number in range(300):
        rings.add("kernel_event", name=str(number))
        rings.add("log", text="x")
        rings.add("stats", sources={})
    recorder.stop()
    stages = recorder.status().stages
    with sqlite3.connect(recorder.path) as database:
        for kind in KINDS:
            counted = database.execute(f"SELECT count(*) FROM {kind}").fetchone()[0]
            assert counted == (stages[kind].kept if kind in stages else 0)
    assert sum(counters.kept for counters in stages.values()) == recorder.counters.kept == 900


def test_only_the_records_that_a_filter_chooses_but_every_state(tmp_path: Path) -> None:
    rings = Rings()
    rings.add("kernel_event", name="read")
    rings.add("kernel_event", name="write")
    rings.add("process", change="created", start=1)
    rings.add("log", text="x")
    options = RecordingOptions(filter_text="name == write")
    kinds = [
        (record.kind, record.seq)
        for record in read(recorded(tmp_path / "r.db", rings, options).path)
    ]
    assert sorted(kinds) == [("kernel_event", 2), ("log", 1), ("process", 1)]


def test_what_is_in_force_is_recorded_when_it_changes(tmp_path: Path) -> None:
    rings, ports = Rings(), ["80"]
    recorder = Recorder(rings, tmp_path / "r.db", None, lambda: {"ports": ports[0], "exe": ""})
    recorder.start()
    rings.add("log", text="one")
    wait_until(lambda: recorder.counters.kept == 1)
    ports[0] = "443"
    recorder.stop()
    with sqlite3.connect(recorder.path) as database:
        told = database.execute("SELECT name, value FROM context ORDER BY ts_ns, name").fetchall()
    assert told == [("exe", '""'), ("ports", '"80"'), ("ports", '"443"')]


def test_only_the_last_while_is_kept_but_the_tables_stay_whole(tmp_path: Path) -> None:
    rings = Rings()
    recorder = started(tmp_path / "r.db", rings, RecordingOptions(keep_s=0.2))
    rings.add("process", change="created", start=1)
    rings.add("process", change="created", start=2)
    rings.add("process", change="deleted", start=2)
    rings.add("kernel_event", name="old")
    wait_until(lambda: recorder.counters.kept == 4)
    held = sqlite3.connect(recorder.path)
    wait_until(lambda: held.execute("SELECT count(*) FROM kernel_event").fetchone() == (0,))
    assert held.execute("SELECT start FROM process").fetchall() == [(1,)]
    assert held.execute("SELECT * FROM pruned").fetchall() == [("kernel_event", 1), ("process", 2)]
    held.close()
    recorder.stop()


def test_a_file_does_not_grow_beyond_its_bound(tmp_path: Path) -> None:
    rings = Rings(capacity=100_000)
    bound = 1_000_000
    recorder = started(tmp_path / "r.db", rings, RecordingOptions(max_bytes=bound))
    for part in range(1, 7):
        for number in range(1_000):
            rings.add("log", text=f"{part} {number} {'x' * 300}")
        wait_kept(recorder, part * 1_000)
    recorder.stop()
    assert recorder.path.stat().st_size <= 2 * bound
    kept = [str(record.get("text")) for record in read(recorder.path)]
    assert kept[-1].startswith("6 999")
    assert not any(text.startswith("1 ") for text in kept)


def test_what_is_left_out_on_request_is_not_in_the_file(tmp_path: Path) -> None:
    rings = Rings()
    rings.add("process", argv=["mysql", "--password=hunter2"], exe="/bin/mysql", start=1)
    rings.add("kernel_event", attributes={"data": "hunter2", "dip": "10.0.0.1"})
    rings.add("l7_message", request="GET /?token=hunter2", status="200")
    recorder = recorded(
        tmp_path / "r.db", rings, RecordingOptions(redact=("payloads", "arguments"))
    )
    assert b"hunter2" not in recorder.path.read_bytes()
    process, event, message = sorted(read(recorder.path), key=lambda record: record.kind)[::-1]
    assert process.get("argv") == [HIDDEN]
    assert event.kind == "l7_message"
    assert message.get("attributes") == {"data": HIDDEN, "dip": "10.0.0.1"}


def test_everything_that_can_be_left_out_is_a_field() -> None:
    for kinds in FIELDS.values():
        for kind, names in kinds.items():
            assert set(names) <= KINDS[kind].names


def test_leaving_out_what_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="'secrets'"):
        Recorder(Rings(), tmp_path / "r.db", RecordingOptions(redact=("secrets",)))


KILLED = """
import sys
from pathlib import Path
from tests.waiting import wait_until
from tests.unit.recording.test_recorder import Rings
from engine.recording.recorder import Recorder
rings = Rings(100_000)
recorder = Recorder(rings, Path(sys.argv[1]))
recorder.start()
number = 0
while True:
    for number in range(number + 1, number + 1_001):
        rings.add("log", ts_ns=number, text=str(number))
    wait_until(lambda: recorder.counters.kept > number - 1_000)
    print(recorder.counters.kept, flush=True)
"""


@pytest.mark.fault("kill -9 of the engine")
def test_a_killed_program_leaves_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        kept = next(int(line) for line in child.stdout if int(line) > 2_000)
        os.kill(child.pid, signal.SIGKILL)
    numbers = [record.seq for record in read(path)]
    assert len(numbers) >= kept
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_copy_without_what_was_written_last_is_a_recording_still(tmp_path: Path) -> None:
    recorder = started(tmp_path / "r.db", Rings())
    shutil.copyfile(recorder.path, tmp_path / "copy.db")
    recorder.stop()
    assert list(read(tmp_path / "copy.db")) == []


@pytest.mark.parametrize("view", ["events", "requests", "processes", "sockets", "counters"])
def test_the_views_can_be_read(tmp_path: Path, view: str) -> None:
    rings = Rings()
    rings.add("kernel_event", name="read", latency_ns=1_500)
    rings.add("l7_message", request="GET /", latency_ms=1.0)
    rings.add("process", ports=[{"port": 80, "proto": "tcp", "address": "::"}], start=1)
    rings.add("stats", sources={"probe": {"seen": 3, "kept": 2, "dropped": {"full": 1}}})
    recorder = recorded(tmp_path / "r.db", rings)
    with sqlite3.connect(recorder.path) as database:
        assert len(database.execute(f"SELECT * FROM {view}").fetchall()) == 1


def test_a_newer_version_and_another_database_are_refused_with_the_reason(tmp_path: Path) -> None:
    recorder = recorded(tmp_path / "r.db", Rings())
    with sqlite3.connect(recorder.path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(RecordingError, match="version 99"):
        RecordingFile.open(recorder.path)
    with sqlite3.connect(tmp_path / "other.db") as database:
        database.execute("CREATE TABLE t (a)")
    with pytest.raises(RecordingError, match="no recording of boxscope"):
        RecordingFile.open(tmp_path / "other.db")


def test_a_recording_without_a_field_of_today_is_read(tmp_path: Path) -> None:
    rings = Rings()
    rings.add("log", text="x", level="info")
    recorder = recorded(tmp_path / "r.db", rings)
    with sqlite3.connect(recorder.path) as database:
        database.execute("DROP VIEW logs")
        database.execute("ALTER TABLE log DROP COLUMN level")
        database.execute("DROP TABLE wasm_plugin")
    (record,) = read(recorder.path)
    assert (record.get("text"), record.get("level")) == ("x", None)
    assert set(TABLE_KEYS) - {"wasm_plugin"} <= set(RecordingFile.open(recorder.path).kinds)


def test_a_flood_that_is_faster_than_the_disk_does_not_hold_up_what_is_committed(
    tmp_path: Path,
) -> None:
    class Flood(Rings):
        """Has as many new records as are taken, each time."""

        def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
            batch = super().since(kind, seq, limit)
            if kind == "log":
                for _ in batch.records:
                    self.add("log", text="x")
            return batch

    rings = Flood(100_000)
    recorder = started(tmp_path / "r.db", rings)
    rings.add("log", text="x")
    wait_until(lambda: recorder.counters.kept >= 2)
    recorder.stop()
    assert recorder.counters.balanced


def test_a_recording_from_anybody_shows_nothing_a_terminal_obeys(tmp_path: Path) -> None:
    rings = Rings()
    rings.add("log", text="x")
    rings.add("kernel_event", attributes={})
    recorder = recorded(tmp_path / "r.db", rings)
    with sqlite3.connect(recorder.path) as database:
        database.execute("UPDATE log SET text = ?", ("\x1b[31mred\u202e",))
        database.execute("UPDATE kernel_event SET attributes = ?", ('{"\\u001b": ["\\u001b"]}',))
    event, log = sorted(read(recorder.path), key=lambda record: record.kind)
    assert log.get("text") == "␛[31mred\\u202e"
    assert event.get("attributes") == {"␛": ["␛"]}


def test_writing_the_memory_out_tells_how_far_it_is(tmp_path: Path) -> None:
    rings = Rings()
    for _ in range(2_500):
        rings.add("log")
    told: list[tuple[int, int | None]] = []
    with Tasks().begin("writing") as task:
        task.advance = lambda done, total=None: told.append((done, total))  # type: ignore[method-assign]
        Recorder(rings, tmp_path / "r.db").write_memory(task)
    assert told == [(1_000, 2_500), (2_000, 2_500), (2_500, 2_500)]


def test_writing_the_memory_out_can_be_cancelled_and_leaves_no_file(tmp_path: Path) -> None:
    rings, tasks, path = Rings(), Tasks(), tmp_path / "r.db"
    rings.add("log")
    with tasks.begin("writing", by_asking) as task:
        recorder = Recorder(rings, path)
        tasks.cancel(tasks.facts()[0].number)
        with pytest.raises(RecordingError, match="was cancelled"):
            recorder.write_memory(task)
    assert list(tmp_path.iterdir()) == []
