"""Both writers show every record, and nothing else."""

from __future__ import annotations

import json

import pytest

from engine.core.fields import JsonValue
from engine.core.kinds import KERNEL_EVENT, LOG
from engine.core.records import Record, new_record
from tui.cli.output import ColumnOutput, JsonOutput, write_table


def event() -> Record:
    values: dict[str, JsonValue] = {
        "name": "openat",
        "result": -2,
        "errno": "ENOENT",
        "attributes": {"name": "/x y"},
    }
    return new_record(KERNEL_EVENT, values, ts_ns=1, pid=7, comm="cat")


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    output = JsonOutput()
    output.record(event())
    output.record(event())
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first == second == event().as_json()


def test_columns_have_one_heading_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    output = ColumnOutput(several_kinds=True)
    log = new_record(LOG, {"source": "probe", "level": "info", "text": "hello"}, ts_ns=1)
    for record in (event(), log, event()):
        output.record(record)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        "KIND",
        "kernel_event",
        "KIND",
        "log",
        "kernel_event",
    ]
    assert lines[0].index("ERRNO") == lines[1].index("ENOENT")
    assert "name=/x y" in lines[1]


def test_chosen_columns_come_in_their_order_and_are_cut_at_the_edge(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ColumnOutput(columns=("name", "pid")).record(event())
    ColumnOutput(columns=("name", "attributes"), width=22).record(event())
    whole, cut = capsys.readouterr().out.splitlines()[1::2]
    assert whole.split() == ["openat", "7"]
    assert len(cut) == 22
    assert cut.startswith("openat")
    assert cut.endswith("…")


def test_statistics_name_every_source_and_the_way_to_mend_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    source: JsonValue = {
        "seen": 5,
        "kept": 3,
        "dropped": {"ring_full": 2},
        "lag_ms": 0.5,
        "state": "failed",
        "reason": "no BCC",
        "fix": "apt-get install -y python3-bpfcc",
    }
    ColumnOutput().object({"kind": "stats", "elapsed_s": 1.0, "sources": {"probe": source}})
    text = capsys.readouterr().out
    assert "seen 5  kept 3  dropped 2 ring_full" in text
    assert "to mend it: apt-get install -y python3-bpfcc" in text


def test_a_table_is_as_wide_as_its_widest_cell(capsys: pytest.CaptureFixture[str]) -> None:
    write_table(("A", "LONG"), [("wider", "x"), ("y", "z")])
    assert capsys.readouterr().out == "A      LONG\nwider  x\ny      z\n"
