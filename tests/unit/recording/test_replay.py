"""A recorded stream shows the same states and streams as the engine it came from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import fixtures
from engine.core.counters import Counters
from engine.core.errors import FailedError, RecordingError
from engine.core.kinds import LOG, PROCESS, STATS
from engine.core.records import new_record
from engine.core.snapshot import HostFacts
from engine.core.source import SourceStatus
from engine.recording.lines import header_line, read_recording, source_as_json, sources_from_json
from engine.recording.replay import ReplayEngine
from tests.waiting import wait_until

FIRST_LIGHT = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"


def write(path: Path, *lines: object) -> Path:
    path.write_text("\n".join(x if isinstance(x, str) else json.dumps(x) for x in lines))
    return path


def process(pid: int, change: str, ts_ns: int) -> dict[str, object]:
    values = {"change": change, "start": 5}
    return dict(new_record(PROCESS, values, ts_ns=ts_ns, pid=pid, comm="x").as_json())


def test_the_shipped_recording_fills_every_table_and_stream() -> None:
    with ReplayEngine(FIRST_LIGHT, instant=True) as engine:
        snapshot = engine.snapshot()
        empty = [kind for kind, rows in snapshot.tables.items() if not rows]
        assert empty == ["probe_state", "traffic_state"], "the recording is older than those kinds"
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


def test_a_record_waits_for_its_time(tmp_path: Path) -> None:
    hour_ns = 3_600_000_000_000
    lines = [new_record(LOG, {"text": str(n)}, ts_ns=n * hour_ns).as_json() for n in (0, 1)]
    engine = ReplayEngine(write(tmp_path / "r", *lines))
    engine.start()
    wait_until(lambda: engine.last_seq("log") == 1)
    engine.stop()
    assert engine.last_seq("log") == 1


def test_overdue_records_are_played_at_once(tmp_path: Path) -> None:
    lines = [new_record(LOG, {"text": str(n)}, ts_ns=n * 1_000).as_json() for n in (0, 1, 2)]
    engine = ReplayEngine(write(tmp_path / "r", *lines))
    engine.start()
    engine.join()
    assert engine.last_seq("log") == 3


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
