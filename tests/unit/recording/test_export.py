"""Chosen records in a file of their own, which replays."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from engine.core.errors import RecordingError
from engine.core.kinds import KINDS
from engine.core.snapshot import HostFacts
from engine.recording.export import export_records
from engine.recording.replay import ReplayEngine
from tests.hostile import hostile_record

HOST = HostFacts("a-box", "6.18.0", "root")
NOW_NS = 1_790_000_000_000_000_000


def test_what_is_exported_replays_as_the_same_records(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    records = [
        hostile_record("log", text=f"line {number}", ts_ns=NOW_NS + number) for number in range(5)
    ]
    for number, each in enumerate(records, 1):
        each.seq = number
    facts = export_records(path, HOST, records)
    assert (facts.records, facts.bytes) == (5, path.stat().st_size)
    engine = ReplayEngine(path, instant=True)
    engine.start()
    assert engine.snapshot().host == HOST
    assert [each.as_json() for each in engine.since("log", 0).records] == [
        each.as_json() for each in records
    ]
    engine.close()


def test_every_kind_and_every_text_can_be_exported_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "evil.jsonl"
    records = [hostile_record(kind, ts_ns=NOW_NS) for kind in KINDS]
    export_records(path, HOST, records)
    kinds = [json.loads(line)["kind"] for line in path.read_bytes().splitlines()]
    assert kinds == ["recording", *KINDS]
    engine = ReplayEngine(path, instant=True)
    assert engine.faults == ()
    engine.close()


def test_a_line_that_is_no_record_of_ours_is_skipped_and_told(tmp_path: Path) -> None:
    path = tmp_path / "odd.jsonl"
    good = hostile_record("log", ts_ns=NOW_NS)
    export_records(path, HostFacts("\x1b]0;x\x07\udcff", "\x9b", "[/red]"), [good])
    odd: dict[str, object] = {**good.as_json()}
    wrong = [
        {**odd, "seq": 2**63},
        {**odd, "seq": -1},
        {**odd, "pid": 10**30},
        {**odd, "ts": "9999-01-01T00:00:00.0Z"},
        {**odd, "ts": "\x1b[31m"},
        {**odd, "kind": "\x1b[31m"},
    ]
    with path.open("ab") as file:
        for each in wrong:
            file.write(json.dumps(each).encode() + b"\n")
        file.write(b'{"kind":"log","text":"\xff\x9b"}\n' + b"[" * 200_000 + b"\n")
    engine = ReplayEngine(path, instant=True)
    assert len(engine.faults) == len(wrong) + 2
    assert all(fault.isprintable() for fault in engine.faults)
    assert engine.snapshot().host.hostname.isprintable()
    engine.close()


def test_only_its_owner_can_read_it_whatever_the_mask(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    before = os.umask(0)
    try:
        export_records(path, HOST, [])
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        export_records(path, HOST, [], replace=True)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_file_is_replaced_only_where_that_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("before")
    with pytest.raises(RecordingError, match="already"):
        export_records(path, HOST, [])
    assert path.read_text() == "before"
    export_records(path, HOST, [], replace=True)
    assert json.loads(path.read_text())["kind"] == "recording"


@pytest.mark.parametrize("replace", [False, True])
def test_a_directory_that_is_not_there_is_said(tmp_path: Path, replace: bool) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        export_records(tmp_path / "none" / "x", HOST, [], replace=replace)


@pytest.mark.parametrize("replace", [False, True])
def test_nothing_is_left_of_a_file_that_could_not_be_written(tmp_path: Path, replace: bool) -> None:
    path = tmp_path / "mine.jsonl"
    if replace:
        path.write_text("before")
    unwritable = hostile_record("log", ts_ns=NOW_NS, text="x")
    object.__setattr__(unwritable, "values", ({1j}, None, None))
    with pytest.raises(TypeError):
        export_records(path, HOST, [unwritable], replace=replace)
    assert [each.name for each in tmp_path.iterdir()] == (["mine.jsonl"] if replace else [])
    assert not replace or path.read_text() == "before"
