"""A refused question is pointed at where it is wrong, though SQLite names a word only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recording.place import Span, SqlError
from engine.recording.query import Query
from tests.unit.recording.test_query import FIRST_LIGHT


@pytest.fixture(scope="module")
def query() -> Iterator[Query]:
    """The shipped recording, to be asked."""
    opened = Query.open(FIRST_LIGHT)
    yield opened
    opened.close()


def refused(query: Query, sql: str) -> SqlError:
    """What a question without the marks is refused with."""
    with pytest.raises(SqlError) as error:
        list(query.ask(sql))
    return error.value


@pytest.mark.parametrize(
    "marked",
    [
        "«SELEC» comm FROM events",
        "SELECT comm FORM «events»",
        "SELECT comm FROM events «FROM» events",
        "SELECT comm FROM events WHERE comm = 'from' GROUP «FROM» events",
        "SELECT comm, FROM FROM FROM",
        "SELECT «nme» FROM events",
        "SELECT 'nme' /* nme */, «nme» FROM events -- nme",
        "SELECT events.comm, e.comm, «e.nme» FROM events e JOIN events",
        "SELECT * FROM «evnts»",
        "SELECT «nothing»(comm) FROM events",
        "SELECT «pid» FROM events, requests, processes",
        "SELECT comm FROM events WHERE pid = «#»",
        "SELECT comm FROM events\nWHERE name == 'read'\n  «ANDD» pid = 1",
        "SELECT comm FROM events WHERE (pid = 1« »",
    ],
)
def test_the_place_is_that_of_the_word(query: Query, marked: str) -> None:
    sql = marked.replace("«", "").replace("»", "").rstrip()
    error = refused(query, sql)
    if "«" not in marked:
        assert error.span is not None
        return
    assert error.span == (marked.index("«"), marked.index("»") - 1)


def test_the_message_points_at_the_line_with_carets(query: Query) -> None:
    error = refused(query, "SELECT comm\nFROM events\n\tWHERE nme = 1")
    assert error.message.split("\n") == [
        "the question is refused: no such column: nme (line 3, column 8)",
        "   WHERE nme = 1".replace("   ", "   ", 1),
        "         ^^^",
    ]


def test_what_is_wrong_as_a_whole_has_no_place(query: Query) -> None:
    error = refused(query, "DELETE FROM log")
    assert (error.span, error.fix) == (None, "a recording is only read: ask with SELECT")


@pytest.mark.parametrize("sql", ["\x00", "'", '"', "SELECT \ud800", "((((", "\\", "é"])
def test_whatever_is_written_is_refused_and_nothing_else_happens(query: Query, sql: str) -> None:
    assert refused(query, sql).message.startswith("the question is refused")


PIECES = st.sampled_from(
    [
        "SELECT ",
        "FROM ",
        "events ",
        "nme ",
        "e.x ",
        "count(",
        ")",
        ", ",
        "'",
        '"',
        "/* ",
        "*/ ",
        "? ",
    ]
) | st.text(max_size=3)


@given(pieces=st.lists(PIECES, max_size=12))
@settings(max_examples=150, deadline=None)
def test_a_place_lies_within_the_question(query: Query, pieces: list[str]) -> None:
    sql = "".join(pieces)
    span: Span | None = None
    try:
        query.answer(sql, rows=1)
    except SqlError as error:
        span = error.span
    assert span is None or 0 <= span[0] < span[1] <= len(sql) + 1
