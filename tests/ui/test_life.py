"""The engine lives as long as the console, no longer."""

from __future__ import annotations

import threading

import pytest

from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine
from tests.waiting import wait_until
from tui.console.app import ConsoleApp
from tui.console.engine_life import EngineLife


async def test_the_engine_starts_after_the_first_paint() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, engine.started.is_set)
        assert not engine.stopped.is_set()


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_quitting_stops_the_engine(key: str) -> None:
    engine = FakeEngine()
    async with ConsoleApp(engine).run_test(size=(80, 24)) as pilot:
        await until(pilot, engine.started.is_set)
        await pilot.press(key)
    assert engine.stopped.is_set()


class SlowStart(FakeEngine):
    """Starts when told to, and counts."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.go_on = threading.Event()
        self.order: list[str] = []

    def start(self) -> None:
        self.entered.set()
        assert self.go_on.wait(10)
        self.order.append("start")

    def stop(self) -> None:
        self.order.append("stop")


def test_stopping_waits_for_a_start_that_is_under_way() -> None:
    engine = SlowStart()
    life = EngineLife(engine)
    starting = threading.Thread(target=life.start)
    starting.start()
    wait_until(engine.entered.is_set)
    life.stop_soon()
    engine.go_on.set()
    starting.join()
    wait_until(lambda: engine.order == ["start", "stop"])


def test_an_engine_is_stopped_once_and_not_started_after_that() -> None:
    engine = SlowStart()
    life = EngineLife(engine)
    life.stop()
    life.stop()
    life.start()
    assert engine.order == ["stop"]
