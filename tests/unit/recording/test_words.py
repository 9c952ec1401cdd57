"""What is offered while a question is written."""

from __future__ import annotations

import pytest

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
