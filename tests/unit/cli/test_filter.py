"""`--filter` prints the records it chooses, and no others."""

from __future__ import annotations

import pytest

from engine.core.filters import Filter
from engine.core.records import record_from_json
from tests.unit.cli.test_verbs import CAPTURE, boxscope, objects

STABLE = ("src", "dst", "request", "status", "protocol")


@pytest.mark.parametrize(
    "expression",
    [
        "status >= 400",
        'request ~ "^GET" and not status == 200',
        "protocol in [DNS, HTTP]",
        "report",
    ],
)
def test_a_command_prints_what_the_filter_chooses_of_everything(expression: str) -> None:
    everything = objects(boxscope("traffic", "--pcap", CAPTURE, "--json"))[:-1]
    chosen = Filter(expression, ["l7_message", "wasm_result"])
    expected = [
        [each[name] for name in STABLE]
        for each in everything
        if chosen.matches(record_from_json(each))
    ]
    done = boxscope("traffic", "--pcap", CAPTURE, "--json", "--filter", expression)
    printed = objects(done)
    assert printed[-1]["kind"] == "stats"
    assert [[each[name] for name in STABLE] for each in printed[:-1]] == expected
    assert 0 < len(expected) <= len(everything)
    assert f"chose {len(expected)} of {len(everything)}" in done.stderr


def test_the_count_is_of_chosen_records() -> None:
    arguments = ("traffic", "--pcap", CAPTURE, "--json", "--count", "2")
    printed = objects(boxscope(*arguments, "--filter", "status >= 400"))
    assert [each["kind"] for each in printed] == ["l7_message", "l7_message", "stats"]


@pytest.mark.parametrize("verb", [("events",), ("discover",), ("demo", "--headless")])
def test_a_filter_that_means_nothing_is_refused_before_anything_starts(
    verb: tuple[str, ...],
) -> None:
    done = boxscope(*verb, "--filter", "pid == 1 and com == x")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[2].index("^") == lines[1].index("com")
    assert "is it comm?" in done.stderr
