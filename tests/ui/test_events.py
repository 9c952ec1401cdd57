"""Pane 3: a switch on the screen is a switch in the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.events import Key
from textual.pilot import Pilot

from engine.core.errors import ProbeError
from engine.core.fields import JsonValue
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.events import probe_text
from tui.console.widgets.cells import Line
from tui.console.widgets.event_columns import attributes_text
from tui.console.widgets.matrix import MatrixView

OPENAT, READ, CONNECT = "syscall_exit-openat", "syscall_exit-read", "syscall_exit-connect"
IO, FILE, NET = Line("family", "io"), Line("family", "file"), Line("family", "net")


@asynccontextmanager
async def on_matrix(
    engine: FakeEngine, size: tuple[int, int] = (160, 45)
) -> AsyncIterator[tuple[ConsoleApp, MatrixView, Pilot[None]]]:
    """The console with the matrix focused: three events in two categories."""
    engine.set_cells(
        (READ, "file", False), (READ, "net", True), (OPENAT, "file", False), (CONNECT, "net", False)
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("3")
        matrix = app.main.events.matrix
        await until(pilot, lambda: matrix.cursor.key is not None)
        yield app, matrix, pilot


def seen(matrix: MatrixView) -> list[str]:
    """The lines in view: names of events, the mark of a family, the first word of others."""
    labels = [line[:24].replace("›", " ").split() for line in text_of(matrix).splitlines()[1:]]
    return [words[1] if words[0] in "<>-" else words[0] for words in labels if words]


async def test_t_subscribes_and_unsubscribes_the_cell_under_the_cursor() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        await pilot.press("t")
        await until(pilot, lambda: engine.calls == [("on", f"{READ}:file")])
        await until(pilot, lambda: matrix.switches.cells[READ, "file"].on, "the engine's answer")
        assert "›● 0" in text_of(matrix)
        await pilot.press("t")
        await until(pilot, lambda: len(engine.calls) == 2)
        assert engine.calls[1] == ("off", f"{READ}:file")
        await until(pilot, lambda: "›○" in text_of(matrix))


async def test_the_cell_changes_at_once_and_quick_toggles_stay_in_order() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        matrix.action_switch()
        assert matrix.switches.is_on((READ, "file"))
        matrix.action_switch()
        assert not matrix.switches.is_on((READ, "file"))
        matrix.action_switch()
        await until(pilot, lambda: len(engine.calls) == 3)
        assert [call for call, *_ in engine.calls] == ["on", "off", "on"]
        await until(pilot, lambda: matrix.switches.cells[READ, "file"].on)


async def test_a_subscribed_event_is_in_the_stream_right_after_the_toggle() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, _matrix, pilot):
        await pilot.press("t")
        engine.emit_events(1)
        await until(pilot, lambda: "/tmp/1" in text_of(app.main.events.stream))


async def test_a_refused_switch_goes_back_and_the_reason_is_shown_as_it_is() -> None:
    engine = FakeEngine()
    engine.refusal = ProbeError("the kernel [red]refused[/red] it", fix="type this")
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("t")
        await until(pilot, lambda: app._notifications, "a notification")
        message = next(iter(app._notifications)).message
        assert message == "the kernel [red]refused[/red] it\ntype this"
        await until(pilot, lambda: not matrix.switches.is_on((READ, "file")))


async def test_arrows_move_between_cells_that_apply_names_and_families() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        visited = []
        keys = "right right down down down down left left left up up"
        for key in keys.split():
            await pilot.press(key)
            visited.append((matrix.cursor.line, matrix.cursor.column))
        assert visited == [
            (Line("event", READ), "net"),
            (Line("event", READ), "net"),
            (FILE, "file"),
            (Line("event", OPENAT), "file"),
            (NET, "net"),
            (Line("event", CONNECT), "net"),
            (Line("event", CONNECT), ""),
            (NET, ""),
            (NET, ""),
            (Line("event", OPENAT), ""),
            (FILE, ""),
        ]


async def test_left_on_a_family_closes_it_and_right_opens_it() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        assert seen(matrix) == ["everything", "▾", "read", "▾", "openat", "▾", "connect"]
        await pilot.press("left", "left", "left")
        assert (matrix.cursor.line, matrix.cursor.column) == (IO, "")
        assert seen(matrix) == ["everything", "▸", "▾", "openat", "▾", "connect"]
        await pilot.press("enter")
        assert "read" in seen(matrix)
        await pilot.press("enter", "right")
        assert "read" in seen(matrix)
        await pilot.press("e")
        assert seen(matrix) == ["everything", "▸", "▸", "▸"]


async def test_the_switch_of_a_family_turns_what_is_on_off_else_everything_on() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("up")
        assert matrix.cursor.line == IO
        await pilot.press("t")
        await until(pilot, lambda: engine.calls == [("on", f"{READ}:file")])
        await pilot.press("left", "t")
        await until(pilot, lambda: len(engine.calls) == 2)
        assert engine.calls[1] == ("off", f"{READ}:file", f"{READ}:net")
        await until(pilot, lambda: "○ io 0 of 2 on" in text_of(app.main.events.cell_line))
        await pilot.press("t")
        await until(pilot, lambda: len(engine.calls) == 3)
        assert engine.calls[2] == ("on", f"{READ}:file", f"{READ}:net")


async def test_a_line_and_a_column_are_turned_with_one_key() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, _matrix, pilot):
        await pilot.press("C")
        await until(pilot, lambda: engine.calls == [("on", f"{READ}:file", f"{OPENAT}:file")])
        await pilot.press("T")
        await until(pilot, lambda: len(engine.calls) == 2)
        assert engine.calls[1] == ("off", f"{READ}:file", f"{READ}:net")


async def test_everything_can_be_turned_off_at_once_and_only_that_on_again() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, _matrix, pilot):
        await pilot.press("home", "left", "t")
        await until(pilot, lambda: engine.calls == [("off", f"{READ}:net")])
        await until(pilot, lambda: "0 of 4 on" in text_of(app.main.events.cell_line))
        assert "switches 1 on again" in text_of(app.main.events.cell_line)
        await pilot.press("t")
        await until(pilot, lambda: engine.calls[1:] == [("on", f"{READ}:net")])


async def test_a_click_turns_the_switch_it_hits_and_opens_a_family() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        column = text_of(matrix).splitlines()[0].index("net")
        await pilot.click(matrix, offset=(column, 7))
        await until(pilot, lambda: engine.calls == [("on", f"{CONNECT}:net")])
        await pilot.click(matrix, offset=(4, 3))
        await pilot.pause()
        assert len(engine.calls) == 1, "a click on a name does nothing"
        await pilot.click(matrix, offset=(4, 2))
        await until(pilot, lambda: "read" not in seen(matrix))
        assert len(engine.calls) == 1


async def test_what_is_typed_quickly_after_the_slash_is_searched_for_and_turns_nothing() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, _, pilot):
        for key, character in (("slash", "/"), ("t", "t"), ("T", "T"), ("q", "q")):
            app.post_message(Key(key, character))
        await until(pilot, lambda: app.main.events.finder.value == "tTq")
        assert engine.calls == []


async def test_searching_shows_what_fits_as_one_types() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        finder = app.main.events.finder
        assert not finder.display
        await pilot.press("slash", "c", "o", "n")
        await until(pilot, lambda: seen(matrix) == ["all", "▾", "connect"])
        assert matrix.switches.categories == ("net",), "columns that nothing needs are gone"
        await pilot.press("enter")
        assert app.focused is matrix
        assert matrix.cursor.key == (CONNECT, "net")
        await pilot.press("t")
        await until(pilot, lambda: engine.calls == [("on", f"{CONNECT}:net")])
        await pilot.press("escape")
        await until(pilot, lambda: len(seen(matrix)) == 7)
        assert not finder.display
        assert app.main.zoomed, "escape closed the search, not the pane"
        await pilot.press("escape")
        await until(pilot, lambda: not app.main.zoomed)


async def test_a_search_takes_patterns_and_categories() -> None:
    async with on_matrix(FakeEngine()) as (_app, matrix, pilot):
        await pilot.press("slash")
        for text, shown in (
            ("syscall_*-[oc]*", ["openat", "connect"]),
            (":net", ["read", "connect"]),
            ("read :net", ["read"]),
            ("exit con", ["connect"]),
        ):
            matrix.find(text)
            found = [line.name.partition("-")[2] for line in matrix.switches.lines]
            assert [name for name in found if name] == shown, text
        matrix.find("nothing like it")
        assert "nothing fits" in text_of(matrix)


async def test_switching_what_was_found_leaves_the_rest_alone() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, _matrix, pilot):
        await pilot.press("slash", *":file", "enter", "home", "left", "t")
        await until(pilot, lambda: engine.calls == [("on", f"{READ}:file", f"{OPENAT}:file")])


async def test_only_what_is_on_and_only_what_delivers() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("v")
        assert seen(matrix) == ["everything", "▾", "read"]
        assert "only on" in text_of(matrix)
        await pilot.press("v")
        assert seen(matrix) == ["everything", "nothing"]
        engine.set_table(
            "subscription",
            [record("subscription", event=READ, category="net", on=True, rate=5.0, total=5)],
        )
        app.look_at_tables()
        assert seen(matrix) == ["everything", "▾", "read"]
        await pilot.press("v")
        assert "only" not in text_of(matrix)


async def test_what_is_switched_off_stays_in_view_so_that_it_can_be_switched_on_again() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("v", "end", "right", "t")
        await until(pilot, lambda: ("off", f"{READ}:net") in engine.calls)
        await until(pilot, lambda: not matrix.switches.cells[READ, "net"].on)
        app.look_at_tables()
        assert "read" in seen(matrix)


async def test_hundreds_of_events_begin_as_families() -> None:
    engine = FakeEngine()
    engine.set_cells(*((f"syscall_exit-call{number}", "file", False) for number in range(300)))
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        matrix = app.main.events.matrix
        await until(pilot, lambda: seen(matrix) == ["everything", "▸"])
        assert "0/300" in text_of(matrix)
        await pilot.press("t")
        await until(pilot, lambda: app._notifications, "not everything at once")
        assert engine.calls == []
        await pilot.press("e", "end", "right")
        assert matrix.cursor.key == ("syscall_exit-call299", "file")
        assert "call299" in text_of(matrix)
        await pilot.press("pageup", "pagedown")
        assert matrix.cursor.key == ("syscall_exit-call299", "file")
        await pilot.press("home")
        assert "everything" in text_of(matrix)


async def test_only_lines_in_view_are_drawn() -> None:
    engine = FakeEngine()
    engine.set_cells(*((f"syscall_exit-call{number}", "file", False) for number in range(300)))
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3", "e")
        matrix = app.main.events.matrix
        await until(pilot, lambda: len(matrix.switches.lines) == 302)
        matrix.switches.arrange()
        text_of(matrix)
        assert len(matrix.switches._sums) < 60


async def test_the_line_below_names_the_cell_in_full() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, _matrix, pilot):
        line = app.main.events.cell_line
        await until(pilot, lambda: "○ syscall_exit-read:file off" in text_of(line))
        await pilot.press("right")
        await until(pilot, lambda: "● syscall_exit-read:net on" in text_of(line))


async def test_a_cell_this_kernel_cannot_deliver_says_why_and_is_never_turned() -> None:
    engine = FakeEngine()
    rows = [
        record(
            "subscription", event=f"kprobe-tcp_{name}", category="net", on=False, unavailable=reason
        )
        for name, reason in (("drop", "no function tcp_drop"), ("close", ""))
    ]
    engine.set_table("subscription", rows)
    engine.refusal = ProbeError("cannot deliver it")
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("3")
        matrix = app.main.events.matrix
        await until(pilot, lambda: "×" in text_of(matrix))
        await until(pilot, lambda: "no function tcp_drop" in text_of(app.main.events.cell_line))
        matrix.action_switch()
        assert not matrix.switches.is_on(("kprobe-tcp_drop", "net"))
        await until(pilot, lambda: len(engine.calls) == 1, "the engine says why it cannot")
        await pilot.press("up", "t")
        await until(pilot, lambda: engine.calls[1:] == [("on", "kprobe-tcp_close:net")])


async def test_the_selected_cell_stays_selected_when_events_are_added_before_it() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("down", "down")
        assert matrix.cursor.key == (OPENAT, "file")
        rows = [
            record("subscription", event="syscall_exit-close", category="net", on=False),
            *engine.snapshot().tables["subscription"],
        ]
        engine.set_table("subscription", rows)
        app.look_at_tables()
        assert matrix.cursor.key == (OPENAT, "file")


async def test_with_nothing_subscribed_the_stream_says_what_to_do() -> None:
    engine = FakeEngine()
    engine.set_cells((OPENAT, "file", False))
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        stream = app.main.events.stream
        await until(pilot, lambda: "press t" in text_of(stream))
        engine.set_cells((OPENAT, "file", True))
        await until(pilot, lambda: "waiting for the first event" in text_of(stream))


async def test_toggle_is_offered_in_its_own_pane_only() -> None:
    async with on_matrix(FakeEngine()) as (app, _matrix, pilot):
        assert app.check_action("switch_cell", ())
        await pilot.press("escape", "tab")
        assert not app.check_action("switch_cell", ())


async def test_the_matrix_survives_any_size() -> None:
    for size in ((1, 1), (20, 6), (60, 20), (80, 24), (200, 60)):
        async with on_matrix(FakeEngine(), size) as (_app, _matrix, pilot):
            await pilot.press("down", "right", "v", "e", "v", "v", "slash", "x", "escape")
            screen_text(pilot)


async def test_a_preset_is_switched_on_and_off_as_a_whole() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, _matrix, pilot):
        await pilot.press("p")
        await until(pilot, lambda: "@story" in screen_text(pilot))
        assert "@network" in screen_text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: engine.calls == [("on", "@story:")])
        await pilot.press("p")
        await until(pilot, lambda: "@story" in screen_text(pilot))
        await pilot.press("down", "u")
        await until(pilot, lambda: engine.calls[1:] == [("off", "@network:")])
        await pilot.press("p", "escape")
        await pilot.pause()
        assert len(engine.calls) == 2


async def test_the_pane_tells_what_was_lost_how_full_the_ring_is_and_what_reading_it_takes() -> (
    None
):
    engine = FakeEngine()
    row = record(
        "probe_state",
        produced=1_000_067,
        read=1_000_000,
        dropped={"ring_full": 60, "recursion": 7},
        ring_fill=1.2,
        ring_peak=35.5,
        oldest_ms=18.25,
        reader_cpu=0.031,
    )
    engine.set_table("probe_state", [row])
    async with on_matrix(engine) as (app, _matrix, pilot):
        line = app.main.events.probe_line
        told = "1.00M = 1.00M read + lost 67 (60 ring_full, 7 recursion)"
        await until(pilot, lambda: told in text_of(line))
        assert "programs" not in probe_text(row)
        assert probe_text(row).endswith("ring 1.2% ↑36% · oldest 18.2ms · reader 3.1%")
        timed = replace(row, values=tuple(0.5 if v is None else v for v in row.values))
        assert "programs 50%" in probe_text(timed)


def test_the_pane_tells_what_was_left_out_and_whose_page_faults_there_were() -> None:
    row = record("probe_state", produced=0, read=0, suppressed=1_500, unowned=3, unfollowed=0)
    assert probe_text(row).endswith("left out 1500 suppressed, 3 unowned")
    faults: list[JsonValue] = [{"pid": pid, "count": 12_000 // pid} for pid in (1, 2, 3)]
    row = record("probe_state", produced=0, read=0, page_faults=faults)
    assert probe_text(row).endswith("page faults 1: 12.0k and 2 more")
    row = record("probe_state", produced=0, read=0, page_faults=faults[:1])
    assert probe_text(row).endswith("page faults 1: 12.0k")


async def test_the_programs_are_timed_when_asked_for_and_no_longer() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, _matrix, pilot):
        await pilot.press("c")
        await until(pilot, lambda: engine.calls == [("time_programs", "True")])
        await pilot.press("c")
        await until(pilot, lambda: engine.calls[1:] == [("time_programs", "False")])


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ({"fd": 3, "dirfd": -100, "name": "/etc/passwd"}, "name=/etc/passwd fd=3 dirfd=-100"),
        (
            {"sip": "::1", "sport": 1, "dip": "::2", "dport": 80, "new_state": "CLOSE"},
            "::1:1->::2:80 new_state=CLOSE",
        ),
        (
            {"sip": "10.0.0.1", "sport": 1, "dip": None, "dport": 2},
            "sip=10.0.0.1 sport=1 dip=- dport=2",
        ),
        ({"sip": "10.0.0.1", "sport": 0, "dip": "10.0.0.2", "dport": 2}, "10.0.0.1:0->10.0.0.2:2"),
        ({}, "-"),
        (None, "-"),
    ],
)
def test_what_tells_most_of_an_event_comes_first(attributes: JsonValue, shown: str) -> None:
    assert attributes_text(record("kernel_event", attributes=attributes)) == shown
