"""A source that cannot run says so in its own pane, and the rest goes on."""

from __future__ import annotations

import time
from typing import Literal, TypeAlias

import pytest
from textual.notifications import Notification

from engine.core.counters import Counters
from engine.core.snapshot import HostFacts, Snapshot
from engine.core.source import SourceState, SourceStatus
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console import notices
from tui.console.app import ConsoleApp
from tui.console.notices import is_seen
from tui.console.widgets.header import header_text
from tui.console.widgets.honesty import arrange, source_forms
from tui.console.widgets.notice import Notice

Severity: TypeAlias = Literal["information", "warning", "error"]


def snapshot_of(*statuses: SourceStatus) -> Snapshot:
    return Snapshot(
        wall_ns=NOW_NS,
        elapsed_s=83.0,
        host=HostFacts("a-box", "6.18.44", "root"),
        sources={status.name: status for status in statuses},
        tables={},
        own_cpu=0.031,
        own_rss=58_000_000,
        source_label="live",
    )


def busy(
    name: str, seen: int = 12_345, lost: int = 0, state: SourceState = "running"
) -> SourceStatus:
    dropped = {"ring_full": lost} if lost else {}
    return SourceStatus(name, state, counters=Counters(seen, seen - lost, dropped, 4.0))


ALL = tuple(map(busy, ("agent", "discovery", "probe", "traffic", "wasm", "modules")))


async def test_a_failed_source_shows_its_reason_and_fix_while_the_others_go_on() -> None:
    engine = FakeEngine()
    engine.set_source("probe", "failed", "BCC is not installed", "apt install python3-bpfcc")
    engine.set_table("plugin_state", [record("plugin_state", plugin="first", state="running")])
    engine.set_table("process", [record("process", pid=1, comm="init", ports=[{"port": 22}])])
    engine.set_table("wasm_plugin", [record("wasm_plugin", plugin="parser", state="loaded")])
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        notice = app.main.events.query_one(Notice)
        await until(pilot, lambda: notice.display)
        assert notice.text == (
            "✗F probe failed (d: doctor): BCC is not installed\n   fix: apt install python3-bpfcc"
        )
        await until(pilot, lambda: "fix: apt install" in screen_text(pilot))
        shown = screen_text(pilot)
        assert all(evidence in shown for evidence in ("first", "init", "parser"))
        assert "✗F probe" in text_of(app.main.honesty)
        assert [pane.query_one(Notice).display for pane in app.main.panes].count(True) == 1


async def test_the_notice_goes_when_the_source_runs_again() -> None:
    engine = FakeEngine()
    engine.set_source("discovery", "degraded", "some owners are hidden", "run as root")
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        notice = app.main.panes[1].query_one(Notice)
        await until(pilot, lambda: notice.display)
        assert "2 Ports!" in text_of(app.main.tabs), "the strip tells it from the other panes"
        engine.set_source("discovery", "running")
        await until(pilot, lambda: not notice.display)


async def test_the_honesty_line_is_in_view_on_every_size_and_while_zoomed() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(160, 45)) as pilot:
        for size in ((160, 45), (80, 24), (40, 10)):
            await pilot.resize_terminal(*size)
            await pilot.press("3")
            await until(pilot, lambda: "agent 10" in text_of(app.main.honesty))


def test_a_source_tells_seen_kept_dropped_and_lag_if_there_is_room() -> None:
    assert source_forms(busy("agent"))[0] == "agent 12.3k/12.3k/0 4.00ms"
    assert source_forms(busy("agent", 1_000, 30))[0] == "agent 1000/970/30! 4.00ms"


@pytest.mark.parametrize(
    ("state", "shown"),
    [("failed", "✗F probe"), ("degraded", "!D probe"), ("starting", "…S probe")],
)
def test_states_are_told_by_a_symbol_and_a_letter(state: SourceState, shown: str) -> None:
    assert all(form.startswith(shown[:8]) for form in source_forms(busy("probe", state=state)))
    assert source_forms(SourceStatus("probe", state))[0].startswith(shown)


def test_a_source_that_is_off_says_so() -> None:
    assert source_forms(SourceStatus("modules", "off"))[0] == "modules off"


def test_at_80_columns_two_lines_hold_all_sources_with_all_numbers() -> None:
    lines = arrange(snapshot_of(*ALL), 80, 2)
    assert len(lines) == 2
    text = " ".join(slot.text for line in lines for slot in line)
    for name in ("agent", "disco", "probe", "traff", "wasm", "modul"):
        assert f"{name} 12.3k/12.3k/0" in " ".join(text.split())
    assert all(len(" ".join(slot.text for slot in line)) <= 80 for line in lines)


def test_troubled_sources_come_first_where_there_is_no_room_for_all() -> None:
    statuses = (*ALL[:-1], busy("modules", state="failed"))
    (line,) = arrange(snapshot_of(*statuses), 40, 1)
    assert line[0].text.startswith("✗F modul")


@pytest.mark.parametrize("width", [1, 2, 13, 40, 79, 80, 120, 160, 300])
@pytest.mark.parametrize("lines", [1, 2])
def test_the_honesty_line_never_grows_beyond_its_room(width: int, lines: int) -> None:
    shown = arrange(snapshot_of(*ALL), width, lines)
    assert len(shown) <= lines
    assert all(len(" ".join(slot.text for slot in line)) <= width for line in shown)


def test_the_header_leaves_out_the_least_important_first() -> None:
    shown = snapshot_of()
    assert header_text(shown, (), 100) == "a-box · 6.18.44 · root · up 0:01:23 · live"
    assert header_text(shown, (), 30) == "a-box · root · up 0:01:23"
    assert header_text(shown, (), 5) == "a-box"


def test_the_header_tells_the_way_into_the_scope_and_never_leaves_out_its_end() -> None:
    shown = snapshot_of()
    way = ("10 nginx + tree", "11 nginx")
    assert header_text(shown, way, 60).startswith("a-box › 10 nginx + tree › 11 nginx · ")
    assert header_text(shown, way, 20) == "… › 11 nginx"
    assert header_text(shown, way, 6) == "… › 11"


async def test_a_notice_that_was_seen_goes_with_the_next_key(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        now = time.time()
        monkeypatch.setattr(notices, "time", lambda: now)  # however slow the box is
        app.notify("seen")
        app.notify("grave", severity="error")
        app.notify("to be read", severity="error", timeout=30)
        await until(pilot, lambda: len(app._notifications) == 3)
        app.notify("just now")
        await until(pilot, lambda: len(app._notifications) == 4)
        for notice in app._notifications:
            notice.raised_at = now if notice.message == "just now" else now - 1.0
        await pilot.press("4")
        await until(pilot, lambda: app.main.active.number == 4)
        assert [each.message for each in app._notifications] == ["grave", "to be read", "just now"]


@pytest.mark.parametrize(
    ("severity", "age_s", "seen"),
    [
        ("information", 0.5, False),
        ("information", 0.8, True),
        ("error", 1.9, False),
        ("error", 2.1, True),
        ("error", -3_600.0, True),
    ],
)
def test_when_a_notice_is_taken_as_seen(severity: Severity, age_s: float, seen: bool) -> None:
    assert is_seen(Notification("x", severity=severity, raised_at=100.0), 100.0 + age_s) is seen
