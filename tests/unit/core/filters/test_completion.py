"""How a filter may go on at the cursor."""

from __future__ import annotations

import pytest

from engine.core.filters import Filter, FilterError, complete

KINDS = ["kernel_event", "process"]


def offered(text: str, cursor: int | None = None) -> list[str]:
    at = len(text) if cursor is None else cursor
    return [each.text for each in complete(text, at, KINDS, lambda name: ["curl", "my app"])]


@pytest.mark.parametrize("text", ["", "(", "comm == a and ", "not ", "comm == a or ("])
def test_a_field_where_a_comparison_begins(text: str) -> None:
    assert {"comm", "pid", "latency_ns", "ports"} <= set(offered(text))


def test_only_fields_of_the_kinds_and_only_what_fits_the_word() -> None:
    assert "latency_ms" not in offered("")
    assert offered("lat") == ["latency_ns"]
    assert offered("comm == x and lan") == ["language", "language_rule"]


def test_an_operator_after_a_field() -> None:
    assert {"==", "~", "in", "not in", "and"} <= set(offered("comm "))


def test_values_after_an_operator_quoted_where_they_must_be() -> None:
    assert offered("comm == ") == ["curl", '"my app"', "none"]
    assert offered("comm in [curl, ") == ["curl", '"my app"', "none"]
    assert offered("attached == ")[:2] == ["true", "false"]
    assert "5ms" in offered("latency_ns > ")


def test_a_joining_word_after_a_comparison() -> None:
    assert offered("comm == a ") == ["and", "or"]
    assert offered("(comm == a) ") == ["and", "or"]
    assert offered("comm in [a] ") == ["and", "or"]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("a b", '"a b"'),
        ('say "hi"', "'say \"hi\"'"),
        ("none", '"none"'),
        ("in", '"in"'),
        ("a=b", '"a=b"'),
        ("/usr/bin/x", "/usr/bin/x"),
    ],
)
def test_a_value_is_written_so_that_it_is_read_as_itself(value: str, written: str) -> None:
    found = complete("comm == ", 8, KINDS, lambda name: [value])
    assert found[0].text == written


def test_a_value_that_cannot_be_written_is_not_offered() -> None:
    found = complete("comm == ", 8, KINDS, lambda name: ['it\'s "so"', "end \\"])
    assert [each.text for each in found] == ["none"]


def test_nothing_inside_quotes() -> None:
    assert offered('comm == "cu') == []


def test_says_which_columns_to_replace() -> None:
    (found,) = complete("pid == 1 and lat == 5", 16, KINDS)
    assert (found.text, found.start, found.end) == ("latency_ns", 13, 16)


@pytest.mark.parametrize("text", ["", "comm ", "comm == ", "comm == a ", "comm in [", "not comm "])
def test_what_is_offered_can_be_written_there(text: str) -> None:
    for word in offered(text):
        assert _mistake_before_the_end(text + word) is None, word


def _mistake_before_the_end(text: str) -> str | None:
    """What is wrong with a beginning, other than that it goes on."""
    try:
        Filter(text, KINDS)
    except FilterError as error:
        goes_on = error.start >= len(text) or "not closed" in error.problem
        return None if goes_on else error.problem
    return None
