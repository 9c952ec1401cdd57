"""What the console looks like over the recording; `--snapshot-update` renews the pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from textual.pilot import Pilot

from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, until
from tui.console.app import ConsoleApp

RECORDING = Path(__file__).parents[2] / "fixtures" / "recordings" / "first-light.jsonl"


class SnapCompare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self, app: ConsoleApp, *, terminal_size: tuple[int, int], run_before: object
    ) -> bool: ...


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time column shows the box's own zone; here that is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def look(snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str) -> bool:
    """Compare the console after some keys, once the replayed rows are on the screen."""
    app = ConsoleApp(ReplayEngine(RECORDING, instant=True))

    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.engine.last_seq("kernel_event") > 0, "the recording")
        app.look_at_tables()
        app.look_at_streams()
        await pilot.press(*keys)
        app.look_at_streams()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=run_before)


def test_four_panes_at_160x45(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (160, 45), "tab", "tab", shown="tcp_set")


def test_one_pane_at_80x24(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (80, 24), "3", shown="tcp_set")


def test_the_matrix_stands_beside_the_stream_when_zoomed(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (160, 45), "3", "o", "up", "up", shown="›")


def test_the_detail_of_a_message(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (100, 30), "4", "up", "enter", shown="escape closes")
