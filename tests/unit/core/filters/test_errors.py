"""What is said of a filter that means nothing, and under which column."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.core.filters import Filter, FilterError
from tests.unit.core.filters.samples import EVERY

KINDS = ["kernel_event", "process"]


@pytest.mark.parametrize(
    ("text", "wrong", "problem"),
    [
        ("", "", "it is empty"),
        ("   ", "", "it is empty"),
        ("com == x", "com", "there is no field com"),
        ("pid == 1 and attributs.dip == x", "attributs", "there is no field attributs"),
        ("comm = x", "=", "'=' alone"),
        ("! comm", "!", "'!' alone"),
        ("comm ==", "", "a value is missing after =="),
        ("comm == ==", "==", "a value is missing after =="),
        ("(comm == a", "(", "not closed"),
        ("comm == a)", ")", "nothing opened"),
        ("comm in [a, b", "[", "not closed"),
        ("comm in a", "a", "a list is missing"),
        ("comm in []", "]", "a value is missing in the list"),
        ("comm not like a", "like", "only in may follow"),
        ("comm == 'a", "'a", "not closed"),
        ("nginx refused", "refused", "after 'nginx'"),
        ("comm == a b", "b", "after 'a'"),
        ("not", "", "missing at the end"),
        ("comm == a and", "", "missing at the end"),
        ("and", "and", "not 'and'"),
        ('"a" == b', '"a"', "without quotes"),
        ("pid == foo", "foo", "pid is a number"),
        ("latency_ns > 2MB", "2MB", "is a time"),
        ("pid > 2ms", "2ms", "has no unit"),
        ("attached == 5", "5", "true or false"),
        ("attached > true", "true", "less or more"),
        ("fd < none", "none", "less or more"),
        ("comm.x == 2", ".x", "one value"),
        ('comm ~ "("', '"("', "pattern is wrong"),
        ("(" * 60 + "a" + ")" * 60, "(", "more than 50"),
    ],
)
def test_says_what_is_wrong_and_where(text: str, wrong: str, problem: str) -> None:
    with pytest.raises(FilterError) as caught:
        Filter(text, KINDS)
    error = caught.value
    assert problem in error.problem
    assert text[error.start : error.end] == wrong
    expression, carets = str(error).splitlines()[1:3]
    assert expression[2:] == text
    assert carets.index("^") - 2 == error.start


def test_offers_the_field_that_was_meant() -> None:
    with pytest.raises(FilterError) as caught:
        Filter("latncy_ns > 5", KINDS)
    assert "latency_ns" in caught.value.hint


def test_is_wrong_usage() -> None:
    with pytest.raises(UsageError) as caught:
        Filter("(", KINDS)
    assert caught.value.exit_code == 2


@pytest.mark.fuzz("filter language")
@given(
    st.text(alphabet=st.sampled_from("ab0.5()[],'\"\\=!<>~ \t\n\x1b€pidcomorntAND"), max_size=40)
)
def test_any_text_is_a_filter_or_a_clear_error(text: str) -> None:
    found = _answers_or_error(text)
    if isinstance(found, FilterError):
        assert 0 <= found.start <= len(text)
        assert len(str(found).splitlines()) >= 3
    else:
        assert found <= {True, False}


def _answers_or_error(text: str) -> set[bool] | FilterError:
    try:
        made = Filter(text)
    except FilterError as error:
        return error
    return {made.matches(record) for record in EVERY}
