"""A table row that changed becomes one record, whoever noticed first."""

from __future__ import annotations

from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_STATE, SUBSCRIPTION
from engine.core.records import Record, RecordRing, new_record
from engine.core.snapshot import HostFacts, Snapshot
from engine.sampler import SAMPLED, Sampler


class Stage:
    """A table that the test sets, and a sampler over it."""

    def __init__(self) -> None:
        self.rows: tuple[Record, ...] = ()
        self.rings = {kind: RecordRing(100) for kind in (*SAMPLED, "stats")}
        self.sampler = Sampler(self.snapshot, self.rings)

    def snapshot(self) -> Snapshot:
        tables: dict[str, tuple[Record, ...]] = {}
        for row in self.rows:
            tables[row.kind] = (*tables.get(row.kind, ()), row)
        return Snapshot(77, 1.0, HostFacts("box", "6", "root"), {}, tables, 0.0, 0)

    def rates(self) -> list[object]:
        return [r.get("rate") for r in self.rings["subscription"].since(0).records]


def cell(rate: float, event: str = "syscall_exit-read") -> Record:
    values: dict[str, JsonValue] = {"event": event, "category": "net", "rate": rate}
    return new_record(SUBSCRIPTION, values, ts_ns=1)


def test_only_changes_are_written() -> None:
    stage = Stage()
    for rate in (1.0, 1.0, 2.0, 2.0, 1.0):
        stage.rows = (cell(rate),)
        stage.sampler.sample()
    assert stage.rates() == [1.0, 2.0, 1.0]
    assert [r.ts_ns for r in stage.rings["subscription"].since(0).records] == [77] * 3


def test_rows_are_told_apart_by_their_key() -> None:
    stage = Stage()
    stage.rows = (cell(1.0), cell(1.0, "syscall_exit-write"))
    stage.sampler.sample()
    stage.rows = (cell(1.0), cell(3.0, "syscall_exit-write"))
    stage.sampler.sample()
    assert stage.rates() == [1.0, 1.0, 3.0]


def test_a_row_that_stays_the_same_object_is_compared_when_somebody_else_wrote_of_it() -> None:
    stage = Stage()
    stage.rows = (cell(1.0), cell(1.0, "syscall_exit-write"))
    stage.sampler.sample()
    stage.sampler.sample()
    assert stage.rates() == [1.0, 1.0]
    stage.rings["subscription"].append(cell(9.0))
    stage.sampler.sample()
    assert stage.rates() == [1.0, 1.0, 9.0, 1.0]


def test_what_the_source_reported_itself_is_not_written_again() -> None:
    stage = Stage()
    row = new_record(PLUGIN_STATE, {"plugin": "p", "state": "exited"}, ts_ns=1)
    stage.rings["plugin_state"].append(
        new_record(PLUGIN_STATE, {"plugin": "p", "state": "exited"}, ts_ns=1)
    )
    stage.rows = (row,)
    stage.sampler.sample()
    assert stage.rings["plugin_state"].last_seq == 1


def test_every_sample_carries_the_counters_and_stopping_takes_a_last_one() -> None:
    stage = Stage()
    stage.sampler.sample()
    stage.sampler.start()
    stage.sampler.stop()
    assert stage.rings["stats"].last_seq == 2
