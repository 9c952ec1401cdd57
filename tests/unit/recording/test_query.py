"""Questions in SQL: answered, bounded, and never able to change anything."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import fixtures
from engine.core.errors import FailedError, RecordingError, UsageError
from engine.recording.query import Query
from tests.unit.recording.test_recorder import Rings, recorded

FIRST_LIGHT = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A recording with an event and a log line."""
    rings = Rings()
    rings.add("kernel_event", name="read", latency_ns=1_500)
    rings.add("log", text="x", source="probe")
    return recorded(tmp_path / "r.db", rings).path


@pytest.fixture
def query(path: Path) -> Iterator[Query]:
    """That recording, to be asked."""
    opened = Query.open(path)
    yield opened
    opened.close()


def test_an_answer_has_names_and_rows(query: Query) -> None:
    assert list(query.ask("SELECT name, latency_us FROM events")) == [("read", 1.5)]
    assert query.columns == ("name", "latency_us")


def test_a_stream_of_json_lines_is_asked_the_same_way() -> None:
    query = Query.open(FIRST_LIGHT)
    ((events,),) = query.ask("SELECT count(*) FROM events")
    assert events == 509
    query.close()


def test_tables_and_views_are_told_with_rows_columns_and_what_they_are_for(query: Query) -> None:
    relations = {relation.name: relation for relation in query.relations()}
    assert (relations["events"].type, relations["events"].rows) == ("view", 1)
    assert "latency_us" in relations["events"].columns
    assert relations["kernel_event"].type == "table"
    assert all(relation.help for relation in relations.values())


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM log",
        "DROP TABLE log",
        "INSERT INTO log (seq) VALUES (9)",
        "CREATE TABLE t (a)",
        "CREATE TEMP TABLE t (a)",
        "ATTACH '{other}' AS other",
        "VACUUM INTO '{other}'",
        "PRAGMA query_only = OFF",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA writable_schema = ON",
        "SELECT load_extension('{other}')",
        "SELECT writefile('{other}', 'x')",
        "BEGIN EXCLUSIVE; DELETE FROM log",
    ],
)
def test_nothing_can_be_changed_by_a_question(path: Path, tmp_path: Path, sql: str) -> None:
    before = hashlib.sha256(path.read_bytes()).digest()
    query = Query.open(path)
    with pytest.raises(UsageError):
        list(query.ask(sql.format(other=tmp_path / "other")))
    query.close()
    assert hashlib.sha256(path.read_bytes()).digest() == before
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    "sql", ["selec", "SELECT nothing FROM events", "SELECT * FROM no", "SELECT ?", "SELECT 'a\0b"]
)
def test_bad_sql_is_a_clear_error(query: Query, sql: str) -> None:
    with pytest.raises(UsageError, match=r"the question is refused: .+") as refused:
        list(query.ask(sql))
    assert refused.value.fix


def test_a_value_beyond_all_measure_is_refused(query: Query) -> None:
    with pytest.raises(UsageError, match="too big"):
        list(query.ask("SELECT zeroblob(1 << 30)"))


def test_a_question_without_end_ends(path: Path) -> None:
    query = Query.open(path, seconds=0.05)
    with pytest.raises(FailedError, match=r"takes longer than 0\.05 s"):
        list(query.ask(ENDLESS))
    assert list(query.ask("SELECT 1")) == [(1,)]
    query.close()


def test_a_question_can_be_interrupted(path: Path) -> None:
    query = Query.open(path, interrupted=lambda: True)
    with pytest.raises(FailedError, match="interrupted"):
        list(query.ask(ENDLESS))
    query.close()


def test_a_damaged_file_is_told_as_such(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(b"\xff" * (path.stat().st_size - 4_096))
    with pytest.raises(RecordingError, match="is damaged"):
        Query.open(path)
