"""What one look at the engine tells as figures, and what two looks tell as rates."""

from __future__ import annotations

import pytest

from engine.core.counters import Counters
from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.source import SourceStatus
from tests.ui.fake_engine import record
from tui.console.figures import (
    ALL,
    FigureId,
    FigureReader,
    Look,
    declared,
    losses_beside,
    percentile,
    service_of,
)


def look(elapsed_s: float, *rows: Record, sources: dict[str, Counters] | None = None) -> Look:
    tables: dict[str, list[Record]] = {}
    for row in rows:
        tables.setdefault(row.kind, []).append(row)
    statuses = {
        name: SourceStatus(name, "running", counters=counters, stages={"match": counters})
        for name, counters in (sources or {}).items()
    }
    return Look(int(elapsed_s * 1e9), elapsed_s, statuses, tables)


def probe(seen: int, lost: int = 0) -> dict[str, Counters]:
    return {"probe": Counters(seen, seen - lost, {"ring_full": lost} if lost else {}, 2.5)}


def message(latency_ms: float | None, **more: JsonValue) -> Record:
    return record("l7_message", None, None, dst="127.0.0.1:80", latency_ms=latency_ms, **more)


def source(name: str) -> FigureId:
    return FigureId("source", "probe", name)


def test_levels_are_known_at_once_and_rates_from_the_second_look_on() -> None:
    reader = FigureReader()
    first = reader.read(look(1, sources=probe(100)))
    assert first[source("lag")] == 2.5
    assert source("kept") not in first
    second = reader.read(look(3, sources=probe(300, 10)))
    assert (second[source("seen")], second[source("kept")]) == (100, 95)
    assert second[source("match › kept")] == 95


def test_what_was_lost_is_told_whole_and_by_reason() -> None:
    reader = FigureReader()
    reader.read(look(1, sources=probe(100, 10)))
    figures = reader.read(look(2, sources=probe(200, 15)))
    assert figures[source("dropped")] == figures[source("dropped: ring_full")] == 5
    assert figures[FigureId("source", ALL, "dropped")] == 5


def test_a_counter_that_began_anew_tells_nothing_instead_of_something_wrong() -> None:
    reader = FigureReader()
    reader.read(look(1, sources=probe(100)))
    assert source("kept") not in reader.read(look(2, sources=probe(30)))
    assert reader.read(look(3, sources=probe(50)))[source("kept")] == 20


def test_an_engine_that_was_started_again_begins_anew() -> None:
    reader = FigureReader()
    reader.read(look(100, sources=probe(100)))
    assert source("kept") not in reader.read(look(1, sources=probe(200)))
    assert reader.read(look(2, sources=probe(201)))[source("kept")] == 1


def test_a_plugin_has_its_own_figures() -> None:
    row = record("plugin_state", plugin="one", tx_rate=5.0, tx_speed=9.0, cpu=0.5, rss=7, fds=None)
    figures = FigureReader().read(look(1, row))
    told = {id_.name: value for id_, value in figures.items() if id_.group == "plugin"}
    assert told == {"records": 5, "bytes": 9, "cpu": 0.5, "rss": 7}


def test_losses_of_a_plugin_are_a_rate() -> None:
    reader = FigureReader()
    reader.read(look(1, record("plugin_state", plugin="one", dropped=3)))
    figures = reader.read(look(2, record("plugin_state", plugin="one", dropped=10)))
    assert figures[FigureId("plugin", "one", "dropped")] == 7


def test_only_subscriptions_that_are_on_are_figures() -> None:
    rows = [
        record("subscription", event=event, category="file", on=on, rate=4.0)
        for event, on in (("open", True), ("read", False))
    ]
    figures = FigureReader().read(look(1, *rows))
    assert list(figures) == [FigureId("subscription", "open:file", "events")]


def services(*messages: Record, number: int = 0) -> dict[tuple[str, str], float]:
    reader = FigureReader()
    reader.read(look(1))
    seen = Look(2, 2.0, {}, {}, messages=messages, message_number=number)
    return {
        (figure.subject, figure.name): value
        for figure, value in reader.read(seen).items()
        if figure.group == "service"
    }


def test_a_service_has_its_messages_and_its_latency() -> None:
    told = services(message(1), message(3), message(None), number=3)
    assert told["127.0.0.1:80", "messages"] == 3
    assert told["127.0.0.1:80", "latency p95"] == told[ALL, "latency p95"] == 3
    assert told[ALL, "messages"] == 3


def test_a_silent_service_has_no_messages_and_no_latency() -> None:
    reader = FigureReader()
    reader.read(look(1))
    reader.read(Look(2, 2.0, {}, {}, messages=[message(1)]))
    figures = reader.read(Look(3, 3.0, {}, {}))
    assert figures[FigureId("service", "127.0.0.1:80", "messages")] == 0
    assert FigureId("service", "127.0.0.1:80", "latency p95") not in figures


def test_services_beyond_the_first_fifty_are_taken_together() -> None:
    many = [record("l7_message", dst=f"10.0.0.1:{port}", latency_ms=1.0) for port in range(60)]
    told = services(*many)
    assert told["others", "messages"] == 10


def test_a_service_is_called_by_its_process_where_that_is_known() -> None:
    assert service_of(message(1, server_comm="nginx")) == "nginx:80"
    assert service_of(message(1)) == "127.0.0.1:80"
    assert "\x1b" not in service_of(message(1, server_comm="\x1b[31m"))


@pytest.mark.parametrize(("share", "value"), [(0.95, 95), (0.5, 50), (0.0, 1), (1.0, 100)])
def test_a_percentile_is_one_of_the_values(share: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), share) == value


def test_every_figure_has_a_unit_a_meaning_and_losses_beside_it() -> None:
    reader = FigureReader()
    row = record("plugin_state", plugin="one", tx_rate=5.0, dropped=1)
    wasm = record("wasm_plugin", plugin="w", calls=1, p50_us=1.0)
    on = record("subscription", event="open", category="file", on=True, rate=1.0)
    state = record("probe_state", ring_peak=1.0)
    every = [row, wasm, on, state]
    reader.read(look(1, *every, sources=probe(1)))
    figures = reader.read(look(2, *every, sources=probe(9, 3)))
    assert len({figure.group for figure in figures}) == 7
    for figure in figures:
        assert declared(figure).help.endswith(".")
        assert losses_beside(figure).name == "dropped"


def test_a_figure_is_named_in_words() -> None:
    assert str(source("kept")) == "source probe kept"
    assert str(FigureId("service", ALL, "messages")) == "service messages"
