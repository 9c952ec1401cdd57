"""Which records a filter chooses."""

from __future__ import annotations

import pytest

from engine.core.filters import Filter, FilterError
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record
from tests.unit.core.filters.samples import ANSWER, EVERY, LISTENER, PLUGIN, REFUSED


def chosen(text: str, record: Record) -> bool:
    return Filter(text).matches(record)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("comm == curl", REFUSED),
        ('comm == "curl"', REFUSED),
        ("comm == 'curl'", REFUSED),
        ("pid == 5", REFUSED),
        ("pid == 0x5", REFUSED),
        ("result == -111", REFUSED),
        ("result < 0", REFUSED),
        ("latency_ns > 5ms", REFUSED),
        ("latency_ns >= 6ms", REFUSED),
        ("latency_ns <= 6000us", REFUSED),
        ("latency_ns < 1s", REFUSED),
        ("latency_ns > 5999999", REFUSED),
        ("latency_ms > 5", ANSWER),
        ("latency_ms < 6ms", ANSWER),
        ("latency_ms > 5400us", ANSWER),
        ("rss >= 3MB", PLUGIN),
        ("rss < 3MiB", PLUGIN),
        ("rss > 2.5MB", PLUGIN),
        ("tx_speed > 2MB/s", PLUGIN),
        ("tx_speed > 2MB", PLUGIN),
        ("cpu == 0.5", PLUGIN),
        ("status == 503", ANSWER),
        ('status == "503"', ANSWER),
        ("status >= 500", ANSWER),
        ("status in [502, 503]", ANSWER),
        ("status in (502, 503)", ANSWER),
        ("status not in [200, 204]", ANSWER),
        ("request ~ ^GET", ANSWER),
        ('request ~ "id=\\d+$"', ANSWER),
        ("request !~ POST", ANSWER),
        ("ts > 2023-11-14", ANSWER),
        ("ports.port == 443", LISTENER),
        ("ports.port in [1, 80]", LISTENER),
        ('ports.address == "::"', LISTENER),
        ("ports.address == ::", LISTENER),
        ('argv == "daemon off;"', LISTENER),
        ("argv ~ daemon", LISTENER),
        ("exe == /usr/sbin/nginx", LISTENER),
        ("attached == false", LISTENER),
        ("not attached", LISTENER),
        ("attributes.dport == 8080", REFUSED),
        ("attributes.dport > 8000", REFUSED),
        ("attributes.dip == 10.0.0.1", REFUSED),
        ("attributes.a.b == dotted", REFUSED),
        ("attributes.a.c == deep", REFUSED),
        ("attributes ~ deep", REFUSED),
        ("attributes.nothing == none", REFUSED),
        ("errno != none", REFUSED),
        ("fd == none", REFUSED),
        ("fd in [none, 5]", REFUSED),
        ("errno", REFUSED),
        ("not fd", REFUSED),
        ("econnref", REFUSED),
        ("8080", REFUSED),
        ('"get /users"', ANSWER),
        ("comm == curl and result < 0", REFUSED),
        ("comm == wget or result < 0", REFUSED),
        ("not (comm == wget or result == 0)", REFUSED),
        ("not comm == wget and not result == 0", REFUSED),
        ("comm == wget and pid == 9 or result < 0", REFUSED),
        ("((((pid == 5))))", REFUSED),
    ],
)
def test_chooses(text: str, record: Record) -> None:
    assert chosen(text, record)
    assert not chosen(f"not ({text})", record)


@pytest.mark.parametrize(
    ("text", "record"),
    [
        ("comm == Curl", REFUSED),
        ("latency_ns > 6ms", REFUSED),
        ("latency_ms > 5500us", ANSWER),
        ("errno > 5", REFUSED),
        ("comm == wget and (pid == 5 or result < 0)", REFUSED),
        ("attributes.dip == 10.0.0", REFUSED),
        ("attributes.dip.more == 10.0.0.1", REFUSED),
        ("ports.port == 44", LISTENER),
        ("attached", LISTENER),
        ("payload", REFUSED),
        ("latency_ns > 5ms", ANSWER),
        ("status == 503", LISTENER),
        ("nothing_like_this", ANSWER),
    ],
)
def test_leaves_out(text: str, record: Record) -> None:
    assert not chosen(text, record)


@pytest.mark.parametrize("record", EVERY)
def test_negative_operators_hold_where_the_field_has_no_value(record: Record) -> None:
    assert chosen("data_type != 5", record)
    assert chosen("data_type !~ 5", record)
    assert chosen("data_type not in [5]", record)


def test_a_comparison_with_one_of_several_values_is_enough() -> None:
    assert chosen("ports.port == 80", LISTENER)
    assert not chosen("ports.port != 80", LISTENER)


def test_a_word_that_names_a_field_is_not_searched_for() -> None:
    assert chosen("nginx", LISTENER)
    assert not chosen("fd", LISTENER)


def test_a_record_of_another_kind_is_never_chosen() -> None:
    only_events = Filter("not pid == 1", ["kernel_event"])
    assert only_events.matches(REFUSED)
    assert not only_events.matches(LISTENER)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**53) - 1])
@pytest.mark.parametrize("held", [int, str])
def test_a_whole_number_is_compared_exactly(number: int, held: type) -> None:
    """Inodes, addresses and times in nanoseconds do not fit a float."""
    record = new_record(KINDS["kernel_event"], {"attributes": {"id": held(number)}}, ts_ns=1)
    assert chosen(f"attributes.id == {number}", record)
    assert not chosen(f"attributes.id == {number - 1}", record)
    assert not chosen(f"attributes.id == {number + 1}", record)
    assert chosen(f"attributes.id > {number - 1} and attributes.id < {number + 1}", record)


@pytest.mark.parametrize("name", ["infinity", "nan", "inf", "1_000", "-Infinity"])
def test_a_name_that_python_takes_for_a_number_is_a_name(name: str) -> None:
    record = new_record(KINDS["log"], {}, ts_ns=1, comm=name)
    assert not chosen("comm > 5", record)
    assert not chosen("comm < 5", record)
    assert not chosen("comm == 1000", record)
    assert chosen(f"comm == {name}", record)


def test_both_letters_that_look_like_a_mu_are_micro() -> None:
    assert chosen("latency_ns == 6000\u00b5s", REFUSED)
    assert chosen("latency_ns == 6000\u03bcs", REFUSED)


@pytest.mark.parametrize("text", ["rss > 1MB/s", "rss > 1/s", "pid == 5/s", "pid > 1k/s"])
def test_a_rate_is_refused_for_what_is_none(text: str) -> None:
    with pytest.raises(FilterError):
        Filter(text)
