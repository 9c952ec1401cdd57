"""What somebody types about a recording is understood, or refused with what to type."""

from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.recording.options import LONGEST_S, RecordingOptions, read_options


def test_nothing_typed_asks_for_nothing() -> None:
    assert read_options() == RecordingOptions()


def test_times_and_sizes_have_units() -> None:
    assert read_options(" 10 ", "500MB").keep_s == 600
    assert read_options("90s", "2GiB") == RecordingOptions(90, 2 << 30)
    assert read_options("2h").keep_s == 7_200


def test_a_time_longer_than_any_box_runs_keeps_all() -> None:
    assert read_options("1e400").keep_s == read_options("99999999999999h").keep_s == LONGEST_S


@pytest.mark.parametrize(
    ("keep", "size", "redact", "filter_text"),
    [
        ("soon", "", (), ""),
        ("5MB", "", (), ""),
        ("0", "", (), ""),
        ("-3", "", (), ""),
        ("", "10s", (), ""),
        ("", "much", (), ""),
        ("", "999kB", (), ""),
        ("", "", ("secrets",), ""),
        ("", "", (), "no_such_field == 1"),
        ("", "", (), "comm =="),
    ],
)
def test_what_means_nothing_is_refused(
    keep: str, size: str, redact: tuple[str, ...], filter_text: str
) -> None:
    with pytest.raises(UsageError):
        read_options(keep, size, redact, filter_text)
