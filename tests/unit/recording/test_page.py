"""Every useful question has an answer, and the page on recordings names what can be asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.kinds import KINDS
from engine.recording.opening import open_recording
from engine.recording.query import Query
from engine.recording.useful import USEFUL
from tests.unit.recording.test_query import FIRST_LIGHT
from tests.unit.recording.test_recorder import Rings, started

PAGE = (Path(__file__).parents[3] / "docs" / "recording.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def query(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Query]:
    """A recording of what the shipped stream holds, made by the recorder."""
    rings = Rings(100_000)
    recorder = started(tmp_path_factory.mktemp("page") / "r.db", rings)
    file, _faults = open_recording(FIRST_LIGHT)
    for record in file.in_order({}, file.kinds):
        rings.rings[record.kind].append(record)
    file.close()
    rings.add("kernel_event", name="connect", errno="EPERM", attributes={"dip": "::1", "dport": 1})
    recorder.stop()
    opened = Query.open(recorder.path)
    yield opened
    opened.close()


def test_there_are_useful_questions() -> None:
    assert len(USEFUL) >= 15


@pytest.mark.parametrize("sql", [each.sql for each in USEFUL], ids=[each.title for each in USEFUL])
def test_a_useful_question_has_an_answer(query: Query, sql: str) -> None:
    rows = list(query.ask(sql))
    if "FROM context" not in sql:  # the stream was recorded before there was any
        assert rows
    assert query.columns


def test_the_page_names_every_view_and_every_table_that_is_no_kind(query: Query) -> None:
    for relation in query.relations():
        if relation.name not in KINDS:
            assert f"`{relation.name}`" in PAGE
