"""Whatever stands in a recording's file: it is replayed and asked, or refused, and never obeyed."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BoxscopeError, RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.snapshot import Snapshot
from engine.recording.query import Query
from engine.recording.replay import ReplayEngine
from tests.unit.recording.test_recorder import SECOND, Rings, read, recorded

EXAMPLES = 60
RECORDS = 5

damage = st.lists(
    st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8) | st.just(b"")),
    min_size=1,
    max_size=6,
)
"""Where, and what stands there then; nothing: the file ends there."""
stored = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=8)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
    | st.sampled_from(["{}", "[]", "[" * 2_000, '{"a": [1e999]}', "u", "u1" * 40, "1e5", "\x1b[m"])
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording with records of every kind."""
    rings = Rings()
    for number in range(RECORDS):
        for kind in KINDS:
            rings.add(kind, ts_ns=(1 + number) * SECOND)
        sources: JsonValue = {"probe": {"seen": number, "kept": 0, "dropped": {"full": number}}}
        rings.add("stats", ts_ns=(1 + number) * SECOND, sources=sources)
    return recorded(tmp_path_factory.mktemp("whole") / "r.db", rings).path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile") / "r"


def use(path: Path) -> None:
    """Do with a recording all that can be done with one."""
    with suppress(BoxscopeError), closing(ReplayEngine(path, instant=True)) as engine:
        for do in (_replay, _look_around, _play):
            with suppress(BoxscopeError):
                do(engine)


def _replay(engine: ReplayEngine) -> None:
    engine.start()
    for kind in KINDS:
        for record in engine.since(kind, 0).records:
            _show(record.as_json())
    _show_all(engine.snapshot())


def _look_around(engine: ReplayEngine) -> None:
    engine.playhead.seek(engine.playhead.first_ns)
    _show_all(engine.snapshot())
    engine.next_problem()
    engine.step()


def _play(engine: ReplayEngine) -> None:
    for record in engine.in_order(engine.kinds):
        _show(record.as_json())


def _show_all(snapshot: Snapshot) -> None:
    for rows in snapshot.tables.values():
        for row in rows:
            _show(row.as_json())
    _show({name: dict(status.counters.dropped) for name, status in snapshot.sources.items()})


def _show(value: object) -> None:
    shown = json.dumps(value, ensure_ascii=False)
    assert not [char for char in shown if ord(char) < 0x20 or ord(char) == 0x7F]


@pytest.mark.fuzz("recording reader")
@settings(max_examples=EXAMPLES)
@given(done=damage)
def test_a_damaged_file_is_replayed_or_refused(
    whole: Path, place: Path, done: list[tuple[float, bytes]]
) -> None:
    content = bytearray(whole.read_bytes())
    for share, put in done:
        at = int(share * len(content))
        content[at : at + len(put) if put else None] = put
    place.write_bytes(content)
    use(place)


COLUMNS = [
    *(
        (kind, column)
        for kind in sorted(KINDS)
        for column in ("ts_ns", "pid", "comm", *KINDS[kind].index)
    ),
    *(("meta", "value"), ("marks", "ts_ns"), ("marks", "seq"), ("context", "value")),
]


@pytest.mark.fuzz("recording reader")
@settings(max_examples=EXAMPLES)
@given(
    st.lists(
        st.tuples(st.sampled_from(COLUMNS), stored, st.integers(1, RECORDS)), min_size=1, max_size=4
    )
)
def test_any_values_in_its_tables_are_replayed_or_refused(
    whole: Path, place: Path, changes: list[tuple[tuple[str, str], object, int]]
) -> None:
    shutil.copyfile(whole, place)
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        for (table, column), value, number in changes:
            there = f"WHERE seq = {number}" if table in KINDS else ""
            database.execute(f'UPDATE OR IGNORE "{table}" SET "{column}" = ? {there}', (value,))
    use(place)


lines = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.fixed_dictionaries(
        {"kind": st.just(kind)},
        optional={
            name: st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
                lambda inner: (
                    st.lists(inner, max_size=2)
                    | st.dictionaries(st.text(max_size=4), inner, max_size=2)
                ),
                max_leaves=4,
            )
            for name in ("seq", "ts", "pid", "comm", "host", *KINDS[kind].index)
        },
    )
)


@pytest.mark.fuzz("recording reader")
@settings(max_examples=EXAMPLES)
@given(st.lists(lines, max_size=3), st.binary(max_size=20), st.floats(0, 1))
def test_any_lines_are_replayed_or_refused(
    place: Path, told: list[dict[str, object]], noise: bytes, share: float
) -> None:
    text = "".join(f"{json.dumps(line)}\n" for line in told).encode("utf-8", "replace")
    at = int(share * len(text))
    place.write_bytes(text[:at] + noise + text[at:])
    use(place)


WORDS = (
    *(
        "SELECT",
        "*",
        "count(*)",
        "FROM",
        "events",
        "kernel_event",
        "sqlite_master",
        "WHERE",
        "LIMIT",
    ),
    *("(", ")", ",", ";", "'", "--", "1", "=", "AS", "UNION", "WITH", "RECURSIVE", "VALUES"),
    *("ATTACH", "'x'", "PRAGMA", "table_info", "DELETE", "UPDATE", "hex", "quote"),
    *("zeroblob(9e9)", "load_extension('x')", "writefile('x','y')", "randomblob(1)"),
)


@pytest.mark.fuzz("questions in SQL")
@settings(max_examples=EXAMPLES)
@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
def test_any_question_is_answered_or_refused(whole: Path, place: Path, sql: str) -> None:
    path = place.with_name("asked")
    shutil.copyfile(whole, path)
    with closing(Query.open(path, seconds=5.0)) as query, suppress(BoxscopeError):
        assert sum(1 for _ in islice(query.ask(sql), 100)) <= 100
    assert path.read_bytes() == whole.read_bytes()
    assert not Path("x").exists()


def test_text_that_is_none_is_damage(whole: Path, place: Path) -> None:
    place.write_bytes(whole.read_bytes().replace(b'"elapsed_s" REAL', b'"elaps\x80d_s" REAL'))
    with pytest.raises(RecordingError, match="is damaged"):
        read(place)


@pytest.mark.parametrize(
    ("column", "value"), [("ts_ns", b"x"), ("ts_ns", None), ("text", b"x"), ("level", 7)]
)
def test_a_value_that_its_column_does_not_hold_is_damage(
    whole: Path, place: Path, column: str, value: object
) -> None:
    shutil.copyfile(whole, place)
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute(f"ALTER TABLE log RENAME COLUMN {column} TO was")
        database.execute(f"ALTER TABLE log ADD COLUMN {column} BLOB")
        database.execute(f"UPDATE log SET {column} = was")
        database.execute(f"UPDATE log SET {column} = ? WHERE seq = 2", (value,))
    with pytest.raises(RecordingError, match=r"is damaged: .* (without|is no)"):
        read(place)


@pytest.mark.parametrize("name", ["marks", "meta", "stats"])
def test_a_view_in_the_place_of_a_table_is_refused_as_it_may_compute_for_ever(
    whole: Path, place: Path, name: str
) -> None:
    shutil.copyfile(whole, place)
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        columns = ", ".join(
            f'"{row[1]}"' for row in database.execute(f'PRAGMA table_info("{name}")')
        )
        database.execute(f'ALTER TABLE "{name}" RENAME TO hidden')
        database.execute(f'CREATE VIEW "{name}" AS SELECT {columns} FROM hidden')
    with pytest.raises(RecordingError, match=f"{name} is a view"):
        ReplayEngine(place)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE marks SET seq = 'x'",
        "UPDATE meta SET value = NULL",
        f"UPDATE stats SET ts_ns = {-(2**63)}",
    ],
)
def test_marks_facts_and_times_that_are_none_are_replayed_or_refused(
    whole: Path, place: Path, change: str
) -> None:
    shutil.copyfile(whole, place)
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute(change)
    use(place)


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(RecordingError, match="is no file"):
        ReplayEngine(pipe)


def test_a_line_with_a_value_of_another_type_is_skipped_and_told(tmp_path: Path) -> None:
    good = {"kind": "log", "seq": 1, "ts": "2026-11-21T18:00:00.0Z", "text": "here"}
    bad = [
        {**good, "text": 5},
        {**good, "kind": "kernel_event", "cpu": "[]"},
        {**good, "seq": 2**63 - 1},
    ]
    path = tmp_path / "r.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in (good, *bad)))
    with closing(ReplayEngine(path, instant=True)) as engine:
        engine.start()
        assert [record.get("text") for record in engine.since("log", 0).records] == ["here"]
        assert len(engine.faults) == len(bad)
