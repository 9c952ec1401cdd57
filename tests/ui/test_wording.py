"""What the console says about plugins."""

from __future__ import annotations

import pytest

from engine.agent import decode, wire
from tests.ui.fake_engine import record
from tui.console.wording import explain, state_text, stop_consequences, utc_text


@pytest.mark.parametrize(
    ("left", "text"),
    [(10.0, "◔ stopping 10 s"), (6.4, "◔ stopping 7 s"), (0.0, "◔ stopping 0 s")],
)
def test_a_plugin_that_stops_shows_the_seconds_until_it_is_killed(left: float, text: str) -> None:
    assert state_text(record("plugin_state", state="stopping", kill_in_s=left)) == text


def test_the_state_tells_how_it_ended() -> None:
    assert state_text(record("plugin_state", state="exited", exit_code=-9)) == "○ exited -9"
    assert state_text(record("plugin_state", state="running")) == "● running"
    assert state_text(record("plugin_state", state="[/red]")) == "? [/red]"


def test_stopping_names_the_group_that_will_be_killed_and_when() -> None:
    running = record("plugin_state", pid=5, plugin="p", state="running", pgid=4)
    assert "after 10 s, SIGKILL" in stop_consequences(running)
    assert "process group (4)" in stop_consequences(running)
    exited = record("plugin_state", plugin="p", state="exited")
    assert "SIGKILL" not in stop_consequences(exited)


def test_every_fault_the_engine_names_is_explained() -> None:
    named = {
        value
        for module in (decode, wire)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str)
    }
    assert decode.DATA_TYPE_ZERO in named
    assert wire.LOST_SYNC in named
    assert {fault for fault in named if not explain(fault)} == set()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01 00:00:00 UTC"),
        (1_795_205_777, "2026-11-20 20:16:17 UTC"),
        (1_795_205_777_000, "not in seconds, as it seems: they would be after the year 2100"),
        (-(2**63), "no time a clock can show"),
        (None, ""),
        ("x", ""),
    ],
)
def test_a_stamp_is_shown_as_utc_time(seconds: int | str | None, text: str) -> None:
    assert utc_text(seconds) == text
