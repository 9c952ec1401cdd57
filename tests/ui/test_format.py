"""Values as text, by unit."""

from __future__ import annotations

import pytest

from engine.core.kinds import KERNEL_EVENT
from tests.ui.fake_engine import record
from tui.console import format as fmt


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (9_999, "9999"),
        (10_000, "10.0k"),
        (12_345, "12.3k"),
        (99_950, "100k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (4_560_000, "4.56M"),
        (7_000_000_000, "7.00G"),
    ],
)
def test_counts_are_exact_when_small_and_three_digits_when_large(number: int, text: str) -> None:
    assert fmt.count(number) == text


@pytest.mark.parametrize("exponent", range(15))
@pytest.mark.parametrize("lead", [1.0, 1.2345, 9.994, 9.996, 9.9949, 9.9999])
def test_counts_never_need_more_than_five_cells(lead: float, exponent: int) -> None:
    assert len(fmt.count(int(lead * 10**exponent))) <= 5


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0ns"),
        (850, "850ns"),
        (12_300, "12.3µs"),
        (999_600, "1.00ms"),
        (4_560_000, "4.56ms"),
        (1_230_000_000, "1.23s"),
        (303e9, "5m03s"),
    ],
)
def test_durations_carry_the_unit_that_fits(nanoseconds: float, text: str) -> None:
    assert fmt.duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_500, "ns", "1.50µs"),
        (38.5, "us", "38.5µs"),
        (80.4, "ms", "80.4ms"),
        (131_072, "B", "131kB"),
        (263_000.0, "B/s", "263kB/s"),
        (2_010.0, "/s", "2.01k/s"),
        (0.0, "/s", "0/s"),
        (0.25, "/s", "0.25/s"),
        (0.02, "cores", "2.0%"),
        (1.5, "cores", "150%"),
        (42, "", "42"),
        (1_790_000_000, "s", "1790000000s"),
    ],
)
def test_numbers_are_shown_in_their_unit(value: float, unit: str, text: str) -> None:
    assert fmt.number(value, unit) == text


def test_time_since_the_start_reads_like_a_clock() -> None:
    assert fmt.uptime(83.9) == "0:01:23"
    assert fmt.uptime(93_784) == "1d 2:03:04"


def test_unknown_values_are_a_dash() -> None:
    assert fmt.value_text(None) == fmt.value_text("") == fmt.value_text([]) == "-"


def test_a_map_is_pairs_and_text_with_spaces_is_quoted() -> None:
    shown = fmt.value_text({"name": "/etc/my file", "flags": 2, "ok": True})
    assert shown == 'name="/etc/my file" flags=2 ok=yes'


def test_lists_are_their_items() -> None:
    assert fmt.value_text(["http_request", "payload"]) == "http_request payload"
    assert fmt.value_text([{"user": "7"}]) == "user=7"


@pytest.mark.parametrize(
    "value",
    ["\x1b]0;owned\x07", "\x9b31m", "a\u202eb", {"\x1bkey": "\x1bvalue"}, ["\x1b", {"k": "\r"}]],
)
def test_nothing_a_terminal_would_obey_comes_through(value: str) -> None:
    shown = fmt.value_text(value) + "".join(fmt.field_lines(value))
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in shown)
    assert "\u202e" not in shown


def test_the_detail_shows_exact_numbers_beside_abbreviated_ones() -> None:
    assert fmt.field_lines(1_500, "ns") == ["1.50µs (1500 ns)"]
    assert fmt.field_lines(12, "ns") == ["12ns"]


def test_the_detail_shows_an_item_a_line() -> None:
    assert fmt.field_lines({"a": 1, "b": "x y"}) == ["a = 1", "b = x y"]
    assert fmt.field_lines(["one", "two"]) == ["one", "two"]


def test_a_sparkline_is_scaled_to_its_largest_value() -> None:
    assert fmt.sparkline([1, 4, 8], 3) == "▁▄█"


def test_a_sparkline_shows_the_newest_values_at_the_right() -> None:
    assert fmt.sparkline([9, 0, 8], 2) == " █"
    assert fmt.sparkline([5], 4) == "   █"
    assert fmt.sparkline([], 3) == fmt.sparkline([0, 0, 0], 3) == "   "


def test_fields_are_shown_with_their_declared_unit() -> None:
    event = record("kernel_event", latency_ns=16_255)
    assert fmt.field_text(event, KERNEL_EVENT.field("latency_ns")) == "16.3µs"


def test_the_time_column_is_the_time_of_day_to_the_millisecond() -> None:
    shown = fmt.field_text(record("kernel_event"), KERNEL_EVENT.field("ts"))
    assert len(shown) == len("00:00:00.000")
    assert shown.endswith(".000")
