"""A scope shows one process, or its tree, in every pane; leaving it brings everything back."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from textual.pilot import Pilot

from engine.core.errors import ProbeError
from engine.core.fields import JsonValue
from engine.core.lineage import ProcessTree, living_processes
from engine.core.records import Record
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.ports import PortsPane
from tui.console.panes.traffic import TrafficPane
from tui.console.scope import Process, Scope


def owner(pid: int, comm: str, ppid: int = 1) -> Record:
    ports: JsonValue = [{"port": pid, "proto": "tcp", "address": "0.0.0.0"}]
    return record("process", pid, comm, ports=ports, start=1, ppid=ppid)


def message(number: int, **pids: int) -> Record:
    return record("l7_message", None, None, protocol="HTTP", request=f"GET /{number}", **pids)


def event(pid: int, comm: str, after_s: int = -60) -> Record:
    """One from before the engine's clock, unless told otherwise."""
    made = record("kernel_event", pid, comm, name="openat", category="file", direction="exit")
    return replace(made, ts_ns=NOW_NS + after_s * 1_000_000_000)


def populated() -> FakeEngine:
    """A master with a worker, and a stranger; each with a port, events, traffic and a plugin."""
    engine = FakeEngine()
    engine.set_table(
        "process", [owner(10, "master"), owner(11, "worker", ppid=10), owner(99, "stranger")]
    )
    engine.set_table(
        "plugin_state",
        [
            record(
                "plugin_state", pid, f"plug{pid}", plugin=f"plug{pid}", pgid=pid, state="running"
            )
            for pid in (10, 11, 99)
        ],
    )
    for pid in (10, 11, 99):
        engine.emit(
            record("plugin_record", pid, "p", plugin=f"plug{pid}", data_type=pid),
            event(pid, f"comm{pid}"),
        )
    engine.emit(message(1, client_pid=99, server_pid=10), message(2, server_pid=11), message(3))
    return engine


@asynccontextmanager
async def running(
    engine: FakeEngine,
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: ports(app) == [10, 11, 99], "the ports")
        await until(pilot, lambda: events(app) == [10, 11, 99], "the events")
        yield app, pilot


def ports(app: ConsoleApp) -> list[int | None]:
    pane = app.main.panes[1]
    assert isinstance(pane, PortsPane)
    return [row.record.pid for row in pane.table.rows]


def plugins(app: ConsoleApp) -> list[int | None]:
    return [row.record.pid for row in app.main.plugins.table.rows]


def records(app: ConsoleApp) -> list[int | None]:
    return [one.pid for one in app.main.plugins.records.records]


def events(app: ConsoleApp) -> list[int | None]:
    return [one.pid for one in app.main.events.stream.records]


def requests(app: ConsoleApp) -> list[object]:
    pane = app.main.panes[3]
    assert isinstance(pane, TrafficPane)
    return [one.get("request") for one in pane.messages.records]


def everything(app: ConsoleApp) -> tuple[Sequence[object], ...]:
    return (plugins(app), records(app), ports(app), events(app), requests(app))


ALL = ([10, 11, 99], [10, 11, 99], [10, 11, 99], [10, 11, 99], ["GET /1", "GET /2", "GET /3"])
MASTER = ([10], [10], [10], [10], ["GET /1"])
TREE = ([10, 11], [10, 11], [10, 11], [10, 11], ["GET /1", "GET /2"])


async def test_x_shows_a_process_in_every_pane_and_x_again_shows_all() -> None:
    engine = populated()
    async with running(engine) as (app, pilot):
        await until(pilot, lambda: everything(app) == ALL, "everything")
        await pilot.press("tab", "down", "x")
        await until(pilot, lambda: everything(app) == MASTER, "the master only")
        assert "testbox › 10 master" in screen_text(pilot)
        await until(pilot, lambda: engine.calls == [("set_pids", "10")], "the kernel")
        await pilot.press("x")
        await until(pilot, lambda: everything(app) == ALL, "everything again")
        await until(pilot, lambda: engine.calls[1:] == [("set_pids",)], "the kernel")
        assert "›" not in text_of(app.main.header)


async def test_capital_x_shows_a_process_with_its_children_and_follows_them_in_the_kernel() -> None:
    engine = populated()
    async with running(engine) as (app, pilot):
        await pilot.press("tab", "down", "X")
        await until(pilot, lambda: everything(app) == TREE, "the tree")
        assert "testbox › 10 master + tree" in screen_text(pilot)
        await until(pilot, lambda: engine.calls == [("set_pids", "follow", "10", "11")])
        engine.set_table("process", [*engine.snapshot().tables["process"], owner(12, "new", 11)])
        app.look_at_tables()
        await until(pilot, lambda: ports(app) == [10, 11, 12], "a grandchild")
        await pilot.press("X")
        await until(pilot, lambda: ports(app) == [10, 11, 12, 99], "everything")


async def test_an_event_of_a_child_too_short_lived_to_be_listed_is_shown() -> None:
    engine = populated()
    async with running(engine) as (app, pilot):
        await pilot.press("tab", "down", "X")
        await until(pilot, lambda: engine.calls, "the kernel follows")
        await until(pilot, lambda: events(app) == [10, 11], "what was before")
        engine.emit(event(555, "brief", after_s=1))
        await until(pilot, lambda: 555 in events(app), "its event")


async def test_where_children_cannot_be_followed_the_kernel_is_told_of_each() -> None:
    class Unfollowing(FakeEngine):
        def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
            if follow:
                raise ProbeError("cannot follow children")
            super().set_pids(pids)

    engine = Unfollowing()
    engine.set_table("process", [owner(10, "master"), owner(11, "w", 10), owner(99, "s")])
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: ports(app) == [10, 11, 99])
        await pilot.press("tab", "down", "X")
        await until(pilot, lambda: engine.calls == [("set_pids", "10", "11")])
        engine.set_table("process", [*engine.snapshot().tables["process"], owner(12, "w", 10)])
        app.look_at_tables()
        await until(pilot, lambda: engine.calls[1:] == [("set_pids", "10", "11", "12")])
        assert not app._notifications


async def test_scopes_lie_in_each_other_and_escape_takes_off_the_last() -> None:
    async with running(populated()) as (app, pilot):
        await pilot.press("tab", "down", "X")
        await until(pilot, lambda: ports(app) == [10, 11])
        await pilot.press("down", "x")
        await until(pilot, lambda: ports(app) == [11], "the worker")
        assert "testbox › 10 master + tree › 11 worker" in screen_text(pilot)
        await pilot.press("4", "escape")
        assert not app.main.zoomed, "the zoom was the last step"
        await pilot.press("escape")
        await until(pilot, lambda: ports(app) == [10, 11], "the tree")
        await pilot.press("escape")
        await until(pilot, lambda: ports(app) == [10, 11, 99], "all")
        assert not app.check_action("step_back", ())


async def test_the_scope_and_a_filter_combine() -> None:
    engine = populated()
    async with running(engine) as (app, pilot):
        engine.emit(event(10, "other"))
        await pilot.press("3", "o")
        await until(pilot, lambda: events(app) == [10, 11, 99, 10])
        await pilot.press("slash", *"comm == comm10", "enter")
        await until(pilot, lambda: events(app) == [10])
        await pilot.press("up", "x")
        await until(pilot, lambda: "1 of 2" in screen_text(pilot), "of the events in the scope")
        assert events(app) == [10]
        await pilot.press("slash", "escape")
        await until(pilot, lambda: events(app) == [10, 10], "all of the scope")


async def test_who_had_stopped_in_a_stream_is_brought_back_to_the_very_place() -> None:
    engine = FakeEngine()
    engine.emit(*(event(10 + number % 2, f"comm{number}") for number in range(100)))
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("3", "o")
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count == 100)
        await pilot.press(*["up"] * 30)
        before = text_of(stream)
        await pilot.press("x")
        await until(pilot, lambda: stream.row_count == 50, "one process")
        engine.emit(*(event(10, "later") for _ in range(5)))
        await pilot.press("x")
        await until(pilot, lambda: "+5 new" in text_of(stream), "what came meanwhile is counted")
        assert text_of(stream).splitlines()[1:] == before.splitlines()[1:]
        assert not stream.following


async def test_following_and_its_badge_hold_in_a_scope_with_a_filter() -> None:
    engine = FakeEngine()
    engine.emit(*(event(pid, "web") for pid in (10, 11)))
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("3", "o")
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count == 2)
        await pilot.press("up", "x")
        await until(pilot, lambda: events(app) == [11])
        await pilot.press("slash", *"comm == web", "enter", "up")
        engine.emit(*(event(pid, comm) for pid in (10, 11) for comm in ("web", "db")))
        engine.emit(*(event(10, "web") for _ in range(5_000)), event(11, "web"))
        await until(pilot, lambda: "+2 new" in text_of(stream), "of the scope and the filter")
        await pilot.press("f")
        await until(pilot, lambda: events(app) == [11, 11, 11], "all of them")


async def test_a_paused_stream_can_be_scoped_and_shows_nothing_of_later() -> None:
    engine = FakeEngine()
    engine.emit(*(event(pid, "web") for pid in (10, 11)))
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("3", "o")
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count == 2)
        await pilot.press("space", "up")
        engine.emit(event(11, "later"))
        await pilot.press("x")
        await until(pilot, lambda: events(app) == [11], "what was there when it was paused")
        await until(pilot, lambda: "PAUSED +1 new" in text_of(stream))
        await pilot.press("space")
        await until(pilot, lambda: events(app) == [11, 11])


async def test_in_a_recording_the_scope_is_for_the_eye_only() -> None:
    engine = populated()
    engine.relabel("replay x.boxscope")
    async with running(engine) as (app, pilot):
        await pilot.press("tab", "down", "X")
        await until(pilot, lambda: everything(app) == TREE, "the tree")
        await pilot.press("escape")
        await until(pilot, lambda: everything(app) == ALL)
        assert not engine.calls
        assert not app._notifications


async def test_a_kernel_that_refuses_is_told_of_and_the_panes_are_scoped_all_the_same() -> None:
    engine = populated()
    engine.refusal = ProbeError("no")
    async with running(engine) as (app, pilot):
        await pilot.press("tab", "down", "x")
        await until(pilot, lambda: app._notifications, "the refusal")
        assert everything(app)[2:4] == ([10], [10])


async def test_a_list_without_anything_of_the_process_says_so_and_the_way_out() -> None:
    engine = populated()
    async with running(engine) as (app, pilot):
        engine.emit(event(555, "lonely"))
        await until(pilot, lambda: 555 in events(app))
        await pilot.press("tab", "tab", "o", "up", "x")
        await until(pilot, lambda: ports(app) == [])
        assert "nothing here of 555 lonely: escape shows all" in screen_text(pilot)
        assert "no Wasm plugin is loaded" in screen_text(pilot)


@pytest.mark.parametrize("key", ["x", "X", "i"])
async def test_without_a_process_the_keys_do_nothing_and_are_not_offered(key: str) -> None:
    async with running(populated()) as (app, pilot):
        await pilot.press("3", key)
        assert not app.main.scope
        assert app.screen is app.main
        for action in ("scope", "scope_tree", "process"):
            assert not app.check_action(action, ()), "a matrix has no processes"


def test_a_tree_takes_in_real_children() -> None:
    with subprocess.Popen(["sleep", "600"]) as child:
        tree = ProcessTree(os.getpid(), living_processes)
        tree.look()
        scope = Scope(Process(os.getpid(), "me"), tree)
        assert scope.shows(event(child.pid, "sleep"))
        assert not scope.shows(event(1, "init"))
        child.kill()


def test_the_kernel_is_trusted_only_while_it_follows() -> None:
    scope = Scope(Process(10, "x"), ProcessTree(10, lambda: ()))
    brief = event(555, "brief", after_s=0)
    assert not scope.shows(brief)
    scope.trust_kernel_from(NOW_NS)
    assert scope.shows(brief)
    assert not scope.shows(message(1, server_pid=555)), "of traffic it says nothing"
    scope.trust_kernel_until(NOW_NS)
    assert not scope.shows(brief)
