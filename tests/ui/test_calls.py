"""Which calls belong to a message, which message to a call, and which calls repeat others."""

from __future__ import annotations

from engine.core.records import Record
from tests.ui.fake_engine import NOW_NS, FakeEngine
from tests.ui.wasm_calls import CLIENT, SERVER, call, message, repetition
from tests.values import now
from tui.console.calls import call_of, calls_of, message_of, runs_of, runs_of_plugin


def at(time_us: int, *, flow: int = 7, src: str = CLIENT, dst: str = SERVER) -> Record:
    """A call made at a time, after that of the message."""
    return call(
        context={"src": src, "dst": dst, "flow_id": flow, "time_us": NOW_NS // 1_000 + time_us}
    )


def numbers(records: list[Record]) -> list[int]:
    return [record.seq for record in records]


def test_calls_of_a_message_are_those_of_its_flow_and_its_time() -> None:
    engine = FakeEngine()
    engine.emit(
        at(-10_000),
        at(0),
        at(1_000, flow=8),
        at(1_000, dst="192.0.2.9:80"),
        at(2_500, src=SERVER, dst=CLIENT),
        at(10_000),
        repetition(2),
    )
    assert numbers(calls_of(engine, message())) == [2, 5]


def test_they_are_found_among_thousands_of_others() -> None:
    engine = FakeEngine()
    engine.emit(*(at(-1) for _ in range(700)), at(0), *(at(9, flow=1) for _ in range(1_300)), at(1))
    assert numbers(calls_of(engine, message())) == [*range(1, 702), 2_002]


def test_a_message_no_plugin_was_called_for_has_none() -> None:
    assert calls_of(FakeEngine(), message()) == []


def test_the_message_of_a_call_is_the_newest_of_its_flow() -> None:
    engine = FakeEngine()
    engine.emit(message(), message(), message(flow=8))
    found = message_of(engine, call())
    assert found is not None
    assert found.seq == 2


def test_a_response_belongs_to_the_same_flow_as_its_request() -> None:
    engine = FakeEngine()
    engine.emit(message())
    assert message_of(engine, at(0, src=SERVER, dst=CLIENT)) is not None
    assert message_of(engine, at(0, src=SERVER, dst="192.0.2.9:1")) is None


def test_a_call_that_is_not_kept_is_none() -> None:
    engine = FakeEngine(capacity=2)
    engine.emit(call(), call(), call())
    assert call_of(engine, 1) is None
    assert call_of(engine, 4) is None
    third = call_of(engine, 3)
    assert third is not None
    assert third.seq == 3


def test_repetitions_are_found_as_they_come_each_once() -> None:
    engine = FakeEngine()
    engine.emit(call(), call(), repetition(1))
    first = call_of(engine, 1)
    assert first is not None
    search = runs_of(engine, first)
    assert now(search.behind)
    assert search.look()
    assert not search.behind
    assert not search.look()
    engine.emit(repetition(2), repetition(1))
    assert search.look()
    assert [run.seq for run in search.found] == [3, 5]
    engine.emit(call())
    assert not search.look()


def test_a_search_nobody_wants_any_more_ends() -> None:
    engine = FakeEngine()
    engine.emit(call(), repetition(1))
    search = runs_of_plugin(engine, "mine")
    search.give_up()
    assert not search.look()
    assert search.found == ()


def test_repetitions_of_a_plugin_are_its_own() -> None:
    engine = FakeEngine()
    engine.emit(call(), repetition(1), repetition(1, plugin="other"), repetition(1))
    search = runs_of_plugin(engine, "mine", after=2)
    search.look()
    assert [run.seq for run in search.found] == [4]
