"""A recorded stream shows the same states and streams as the engine it came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fixtures
from engine.core.counters import Counters
from engine.core.errors import FailedError, RecordingError, UsageError
from engine.core.fields import JsonValue
from engine.core.kinds import KERNEL_EVENT, LOG, PROCESS, STATS
from engine.core.records import new_record
from engine.core.snapshot import HostFacts
from engine.core.source import SourceStatus
from engine.recording.file import RecordingFile
from engine.recording.lines import header_line, read_recording, source_as_json, sources_from_json
from engine.recording.opening import open_recording
from engine.recording.replay import ReplayEngine

FIRST_LIGHT = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def process(pid: int, change: str, ts_ns: int) -> dict[str, object]:
    values: dict[str, JsonValue] = {"change": change, "start": 5}
    return dict(new_record(PROCESS, values, ts_ns=ts_ns, pid=pid, comm="x").as_json())


def test_the_shipped_recording_fills_every_table_and_stream() -> None:
    with ReplayEngine(FIRST_LIGHT, instant=True) as engine:
        snapshot = engine.snapshot()
        empty = [kind for kind, rows in snapshot.tables.items() if not rows]
        assert empty == ["capture_state", "probe_state", "traffic_state"], "it is older than those"
        for kind in ("plugin_record", "kernel_event", "l7_message", "wasm_result"):
            assert engine.since(kind, 0).records, kind
        assert engine.faults == ()
        assert {"agent", "discovery", "probe", "traffic", "wasm"} <= snapshot.sources.keys()
        assert all(status.counters.balanced for status in snapshot.sources.values())


def test_a_deleted_process_leaves_the_table(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r", process(1, "created", 1), process(2, "created", 2), process(1, "deleted", 3)
    )
    with ReplayEngine(path, instant=True) as engine:
        assert [row.pid for row in engine.snapshot().tables["process"]] == [2]
        assert [r.get("change") for r in engine.since("process", 0).records] == [
            "created",
            "created",
            "deleted",
        ]


class ManualClock:
    """A clock that goes on when a test says so."""

    def __init__(self) -> None:
        self.now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


def logged(path: Path, *at_s: float) -> Path:
    lines = [new_record(LOG, {"text": str(at)}, ts_ns=int(at * 1e9)).as_json() for at in at_s]
    return write(path, *lines)


def test_a_record_waits_for_its_time(tmp_path: Path) -> None:
    clock = ManualClock()
    with ReplayEngine(logged(tmp_path / "r", 10, 70), clock=clock) as engine:
        assert engine.last_seq("log") == 1
        clock.now_ns = 59_999_999_999
        assert engine.last_seq("log") == 1
        clock.now_ns = 60_000_000_000
        assert engine.last_seq("log") == 2
        assert engine.playhead.at_end


def test_a_replay_goes_at_the_speed_that_is_set(tmp_path: Path) -> None:
    clock = ManualClock()
    with ReplayEngine(logged(tmp_path / "r", 0, 10, 20), clock=clock) as engine:
        engine.playhead.set_speed(10)
        clock.now_ns = 1_000_000_000
        assert engine.last_seq("log") == 2
        engine.playhead.hold()
        clock.now_ns = 60_000_000_000
        assert engine.last_seq("log") == 2
        with pytest.raises(UsageError, match="0 times as fast"):
            engine.playhead.set_speed(0)


def test_a_replay_goes_back_and_forth(tmp_path: Path) -> None:
    with ReplayEngine(logged(tmp_path / "r", *range(1, 8)), clock=ManualClock()) as engine:
        for at_s, expected in ((5, 5), (2, 2), (9, 7), (-1, 1)):
            engine.playhead.seek(at_s * 1_000_000_000)
            batch = engine.since("log", 0)
            assert [record.get("text") for record in batch.records] == [
                str(number) for number in range(1, expected + 1)
            ]
            assert batch.last_seq == engine.last_seq("log") == expected


def test_tables_are_those_of_the_moment(tmp_path: Path) -> None:
    path = write(
        tmp_path / "r",
        process(1, "created", 1),
        process(2, "created", 2),
        process(1, "deleted", 3),
        process(3, "created", 4),
    )
    with ReplayEngine(path, clock=ManualClock()) as engine:
        for ts_ns, pids in ((4, [2, 3]), (1, [1]), (3, [2]), (2, [1, 2]), (4, [2, 3])):
            engine.playhead.seek(ts_ns)
            assert [row.pid for row in engine.snapshot().tables["process"]] == pids


def test_a_step_goes_to_the_next_record_and_stands_still(tmp_path: Path) -> None:
    clock = ManualClock()
    with ReplayEngine(logged(tmp_path / "r", 1, 2, 3), clock=clock) as engine:
        engine.step()
        clock.now_ns = 10_000_000_000
        assert engine.last_seq("log") == 2
        engine.step()
        engine.step()
        assert engine.last_seq("log") == 3


def test_the_next_problem_is_found_and_told(tmp_path: Path) -> None:
    def stats(ts_ns: int, lost: int) -> dict[str, object]:
        status = SourceStatus("probe", "running", counters=Counters(9, 9 - lost, {"full": lost}))
        values = {"sources": {"probe": source_as_json(status)}}
        return dict(new_record(STATS, values, ts_ns=ts_ns).as_json())

    failed = new_record(
        KERNEL_EVENT, {"name": "connect", "errno": "ECONNREFUSED"}, ts_ns=30, pid=1, comm="x"
    )
    path = write(tmp_path / "r", stats(10, 0), stats(20, 4), failed.as_json(), stats(40, 4))
    with ReplayEngine(path, clock=ManualClock()) as engine:
        assert engine.next_problem() == "probe lost 4"
        assert engine.snapshot().wall_ns == 20
        assert engine.next_problem() == "kernel_event 1: connect ECONNREFUSED"
        assert engine.snapshot().wall_ns == 30
        assert engine.next_problem() == ""
        assert engine.snapshot().wall_ns == 30


def test_counters_read_back() -> None:
    counters = Counters(5, 3, {"ring_full": 2}, 1.5)
    stages = {"watcher": Counters(2, 2), "matcher": Counters(2, 1, {"not_matched": 1})}
    status = SourceStatus("probe", "failed", "no BCC", "apt", True, counters, stages)
    shown = source_as_json(status)
    assert shown["dropped"] == {"ring_full": 2}
    assert sources_from_json({"probe": shown}) == {"probe": status}


def test_host_facts_read_back(tmp_path: Path) -> None:
    host = HostFacts("box", "6.18", "root")
    stats = new_record(STATS, {"elapsed_s": 1.0, "sources": {}}, ts_ns=1).as_json()
    assert read_recording(write(tmp_path / "r", header_line(host), stats)).host == host


def test_a_damaged_line_costs_only_itself(tmp_path: Path) -> None:
    good = new_record(LOG, {"text": "x"}, ts_ns=1).as_json()
    path = write(tmp_path / "r", good, '{"kind": "log", "se', "[1]", {"kind": "martian"}, good)
    recording = read_recording(path)
    assert len(recording.records) == 2
    assert [fault.split(":")[0] for fault in recording.faults] == ["line 2", "line 3", "line 4"]


@pytest.mark.parametrize(("text", "why"), [("", "it is empty"), ("{]", "line 1")])
def test_a_file_without_records_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(RecordingError, match=f"holds no record: {why}"):
        ReplayEngine(write(tmp_path / "r", text))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        ReplayEngine(tmp_path / "none")


def test_acting_on_a_recording_is_refused() -> None:
    engine = ReplayEngine(FIRST_LIGHT, instant=True)
    with pytest.raises(FailedError, match="cannot subscribe in a recording"):
        engine.subscribe("syscall_exit-read")


def test_opening_a_stream_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []

    def advance(done: int, total: int | None = None) -> None:
        told.append((done, total))

    file, _faults = open_recording(logged(tmp_path / "r", *range(1_000)), advance)
    file.close()
    assert told == [(500, 2_000), (1_000, 2_000), (1_000, 2_000), (1_500, 2_000)]


def test_going_to_a_moment_looks_it_up_and_is_a_task_of_the_engine(tmp_path: Path) -> None:
    with ReplayEngine(logged(tmp_path / "r", 1, 2, 3), clock=ManualClock()) as engine:
        engine.go_to(2_000_000_000)
        assert engine.last_seq("log") == 2
        assert engine.progress() == ()


def test_a_search_that_is_cancelled_says_so_and_moves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ReplayEngine(logged(tmp_path / "r", 1, 2, 3), clock=ManualClock()) as engine:

        def search(file: RecordingFile, after_ns: int) -> None:
            engine.cancel_task(engine.progress()[0].number)
            raise RecordingError("the recording is damaged: interrupted")

        engine.go_to(1_000_000_000)
        monkeypatch.setattr("engine.recording.replay.next_problem", search)
        with pytest.raises(RecordingError, match="the search was cancelled"):
            engine.next_problem()
        assert engine.last_seq("log") == 1
