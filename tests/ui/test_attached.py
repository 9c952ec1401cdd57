"""The console over an engine in another process: it looks and acts as over its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.snapshot import AttachFacts
from engine.remote.hello import Hello
from engine.remote.remote import RemoteEngine
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tests.unit.remote.serving import served
from tui.console.app import ConsoleApp
from tui.console.widgets.header import header_text
from tui.console.widgets.stream import StreamView


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for an engine that has gone more often than one would."""
    monkeypatch.setattr("engine.remote.following.RETRY_S", 0.02)


def shows(pilot: Pilot[None], text: str) -> bool:
    return text in screen_text(pilot)


def told(app: ConsoleApp, text: str) -> bool:
    """Whether a notice says so."""
    return any(text in notice.message for notice in app._notifications)


async def test_it_obeys_says_that_the_engine_is_gone_keeps_what_it_has_and_finds_the_next_one(
    tmp_path: Path,
) -> None:
    first, second = FakeEngine(), FakeEngine()
    first.set_cells(("openat", "file", False))
    first.emit_events(20, comm="before")
    second.emit_events(30, comm="after")
    with served(first, tmp_path) as door:
        engine = RemoteEngine(door.path)
        engine.start()
        app = ConsoleApp(engine)
        context = app.run_test(size=(160, 45))
        pilot = await context.__aenter__()
        await until(pilot, lambda: shows(pilot, "attached to"), "the header tells")
        await pilot.press("3")
        await until(pilot, lambda: shows(pilot, "before"), "the events are there")
        await pilot.press("down", "t")
        await until(pilot, lambda: first.calls == [("on", "openat:file")], "the engine obeys")
        await until(pilot, lambda: shows(pilot, "●"), "and is seen to have obeyed")
    try:
        await until(pilot, lambda: shows(pilot, "is gone"), "the header tells that it is gone")
        assert shows(pilot, "✗F attach")
        assert shows(pilot, "before"), "what was told stays"
        await pilot.press("t")
        await until(pilot, lambda: told(app, "was stopped"), "why nobody obeys")
        with served(second, tmp_path):
            await until(pilot, lambda: shows(pilot, "after"), "the next engine's events")
            (stream,) = app.main.events.query(StreamView)
            assert [one.comm for one in stream.records] == ["after"] * 30
    finally:
        await context.__aexit__(None, None, None)


async def test_who_only_looks_is_told_so_by_the_engine(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.set_cells(("openat", "file", False))
    with served(engine, tmp_path) as door:
        remote = RemoteEngine(door.path, Hello(read_only=True))
        remote.start()
        app = ConsoleApp(remote)
        async with app.run_test(size=(160, 45)) as pilot:
            await until(pilot, lambda: shows(pilot, "read-only"), "the header tells")
            await pilot.press("3", "down", "t")
            await until(pilot, lambda: told(app, "may only look"), "it is refused")
            await until(pilot, lambda: not shows(pilot, "●"), "and the switch is as it was")
    assert engine.calls == []


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (AttachFacts(7, False), "attached to 7"),
        (AttachFacts(7, True), "attached to 7, read-only"),
        (AttachFacts(7, True, "it has gone", 9.0), "✗ engine 7 is gone"),
        (AttachFacts(7, True, silent_s=9.4), "! engine 7 says nothing for 9 s"),
    ],
)
def test_the_header_tells_whose_engine_it_is(facts: AttachFacts, says: str) -> None:
    snapshot = replace(FakeEngine().snapshot(), attached=facts)
    assert says in header_text(snapshot, (), 120)
    assert "live" not in header_text(snapshot, (), 120)
