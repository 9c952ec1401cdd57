"""What is offered while a question is written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recording.query import Relation
from engine.recording.words import complete_sql

RELATIONS = (
    Relation("events", "view", 2, ("time", "comm", "latency_us"), "Kernel events."),
    Relation("requests", "view", 1, ("time", "status", "latency_ms"), "Messages."),
    Relation("kernel_event", "table", 2, ("seq", "latency_ns"), "One subscribed kernel event."),
)


def offered(written: str) -> list[str]:
    """What is offered at the mark."""
    return [
        each.text for each in complete_sql(written.replace("|", ""), written.index("|"), RELATIONS)
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("|", ["SELECT", "WITH"]),
        ("sel|", ["SELECT"]),
        ("SELECT * FROM |", ["events", "requests", "kernel_event"]),
        ("SELECT * FROM ev|", ["events"]),
        ("SELECT * FROM events JOIN re|", ["requests"]),
        ("SELECT lat| FROM events", ["latency_us"]),
        ("SELECT lat| FROM events, requests", ["latency_us", "latency_ms"]),
        ("SELECT lat|", ["latency_us", "latency_ms", "latency_ns"]),
        ("SELECT e.| FROM events e", ["time", "comm", "latency_us"]),
        ("SELECT e.c| FROM events AS e", ["comm"]),
        ("SELECT nothing.|", []),
        ("SELECT comm FROM events WHERE 'lat|", []),
        ("SELECT comm FROM events WHERE 'lat|'", []),
        ("SELECT comm FROM events -- lat|", []),
        ("SELECT comm FROM events gro|", ["GROUP BY", "group_concat"]),
        ("SELECT comm FROM events e WHERE e|", ["ELSE", "END", "events"]),
    ],
)
def test_offers(written: str, expected: list[str]) -> None:
    assert offered(written) == expected


def test_a_column_of_a_kind_is_offered_with_what_it_means() -> None:
    (only,) = complete_sql("SELECT latency_n FROM kernel_event", 16, RELATIONS)
    assert (only.start, only.end, only.text) == (7, 16, "latency_ns")
    assert only.help == "From enter to exit. [ns]"


PIECES = st.sampled_from(
    [
        "SELECT",
        "FROM",
        "events",
        "e",
        ".",
        ",",
        "(",
        ")",
        "'",
        '"',
        "--",
        "/*",
        "*/",
        " ",
        "\n",
        "é",
    ]
)


@given(pieces=st.lists(PIECES, max_size=15), data=st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_is_written_an_offer_goes_on_from_the_word_at_the_cursor(
    pieces: list[str], data: st.DataObject
) -> None:
    text = "".join(pieces)
    cursor = data.draw(st.integers(0, len(text)))
    for each in complete_sql(text, cursor, RELATIONS):
        assert 0 <= each.start <= each.end == cursor
        assert each.text.lower().startswith(text[each.start : cursor].lower())
