"""Pane 3: a switch on the screen is a switch in the engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.pilot import Pilot

from engine.core.errors import ProbeError
from tests.ui.driving import text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.widgets.matrix import MatrixView

OPENAT, READ, CONNECT = "syscall_exit-openat", "syscall_exit-read", "syscall_exit-connect"


@asynccontextmanager
async def on_matrix(
    engine: FakeEngine,
) -> AsyncIterator[tuple[ConsoleApp, MatrixView, Pilot[None]]]:
    """The console with the matrix focused: three events in two categories."""
    engine.set_cells(
        (OPENAT, "file", False), (READ, "file", False), (READ, "net", True), (CONNECT, "net", False)
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("tab", "tab")
        matrix = app.main.events.matrix
        await until(pilot, lambda: matrix.cursor_key is not None)
        yield app, matrix, pilot


async def test_t_subscribes_and_unsubscribes_the_cell_under_the_cursor() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        await pilot.press("t")
        await until(pilot, lambda: engine.calls == [("subscribe", OPENAT, "file")])
        await until(pilot, lambda: matrix.cells[OPENAT, "file"].on, "the engine's own answer")
        assert "›● 0" in text_of(matrix)
        await pilot.press("t")
        await until(pilot, lambda: len(engine.calls) == 2)
        assert engine.calls[1] == ("unsubscribe", OPENAT, "file")
        await until(pilot, lambda: "›○" in text_of(matrix))


async def test_the_cell_changes_at_once_and_quick_toggles_stay_in_order() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        matrix.action_switch()
        assert matrix.is_on((OPENAT, "file"))
        matrix.action_switch()
        assert not matrix.is_on((OPENAT, "file"))
        matrix.action_switch()
        await until(pilot, lambda: len(engine.calls) == 3)
        assert [call for call, *_ in engine.calls] == ["subscribe", "unsubscribe", "subscribe"]
        await until(pilot, lambda: matrix.cells[OPENAT, "file"].on)


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
        await until(pilot, lambda: not matrix.is_on((OPENAT, "file")))


async def test_arrows_move_between_cells_that_apply() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        visited = []
        for key in ("right", "down", "right", "right", "down", "left", "up", "up", "up"):
            await pilot.press(key)
            visited.append(matrix.cursor_key)
        assert visited == [
            (OPENAT, "file"),
            (READ, "file"),
            (READ, "net"),
            (READ, "net"),
            (CONNECT, "net"),
            (CONNECT, "net"),
            (READ, "net"),
            (OPENAT, "file"),
            (OPENAT, "file"),
        ]


async def test_a_click_turns_the_switch_it_hits() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (_app, matrix, pilot):
        column = text_of(matrix).splitlines()[0].index("net")
        await pilot.click(matrix, offset=(column, 3))
        await until(pilot, lambda: engine.calls == [("subscribe", CONNECT, "net")])
        await pilot.click(matrix, offset=(1, 2))
        await pilot.pause()
        assert len(engine.calls) == 1, "a click on a name does nothing"


async def test_the_line_below_names_the_cell_in_full() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, _matrix, pilot):
        line = app.main.events.cell_line
        await until(pilot, lambda: "○ syscall_exit-openat:file off" in text_of(line))
        await pilot.press("down", "right")
        await until(pilot, lambda: "● syscall_exit-read:net on" in text_of(line))


async def test_a_cell_this_kernel_cannot_deliver_says_why() -> None:
    engine = FakeEngine()
    engine.set_table(
        "subscription",
        [
            record(
                "subscription",
                event="kprobe-tcp_drop",
                category="net",
                on=False,
                unavailable="no function tcp_drop",
            )
        ],
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        matrix = app.main.events.matrix
        await until(pilot, lambda: "×" in text_of(matrix))
        await until(pilot, lambda: "no function tcp_drop" in text_of(app.main.events.cell_line))
        matrix.action_switch()
        assert not matrix.is_on(("kprobe-tcp_drop", "net"))


async def test_the_selected_cell_stays_selected_when_events_are_added_before_it() -> None:
    engine = FakeEngine()
    async with on_matrix(engine) as (app, matrix, pilot):
        await pilot.press("down")
        rows = [
            record("subscription", event="syscall_exit-close", category="net", on=False),
            *engine.snapshot().tables["subscription"],
        ]
        engine.set_table("subscription", rows)
        app.look_at_tables()
        assert matrix.cursor_key == (READ, "file")


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
        await pilot.press("tab")
        assert not app.check_action("switch_cell", ())
