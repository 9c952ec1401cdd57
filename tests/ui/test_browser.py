"""Going from one record of a plugin to the next."""

from __future__ import annotations

import pytest

from engine.core.records import Record
from tests.ui.fake_engine import FakeEngine, record
from tui.console.browser import RecordBrowser


def emit(engine: FakeEngine, *plugins: str) -> None:
    """One record of each plugin named, in that order."""
    engine.emit(*(record("plugin_record", plugin=plugin) for plugin in plugins))


def all_records(engine: FakeEngine) -> tuple[Record, ...]:
    return engine.since("plugin_record", 0, 100_000).records


def test_only_records_of_the_same_plugin_are_gone_through() -> None:
    engine = FakeEngine()
    emit(engine, "mine", "other", "mine", "other", "mine")
    records = all_records(engine)
    browser = RecordBrowser(engine, records[2], records)
    assert browser.step(1)
    assert browser.record.seq == 5
    assert browser.step(-1)
    assert browser.step(-1)
    assert browser.record.seq == 1
    assert not browser.step(-1)
    assert browser.record.seq == 1


def test_what_arrived_meanwhile_comes_next() -> None:
    engine = FakeEngine()
    emit(engine, "mine")
    browser = RecordBrowser(engine, all_records(engine)[0])
    assert not browser.step(1)
    emit(engine, *["other"] * 3_000, "mine")
    assert browser.step(1)
    assert browser.record.seq == 3_002


def test_earlier_ones_are_looked_for_as_far_as_the_engine_keeps_them() -> None:
    engine = FakeEngine(capacity=5_000)
    emit(engine, "mine", *["other"] * 3_000, "mine")
    last = all_records(engine)[-1]
    browser = RecordBrowser(engine, last, [last])
    assert browser.step(-1)
    assert browser.record.seq == 1
    assert browser.step(1)
    emit(engine, *["other"] * 4_999)
    lonely = RecordBrowser(engine, last, [last])
    assert not lonely.step(-1), "the first one is not kept any more"


def test_a_record_that_is_not_kept_any_more_leads_to_those_that_are() -> None:
    engine = FakeEngine(capacity=10)
    emit(engine, "mine")
    old = all_records(engine)[0]
    emit(engine, *["mine"] * 100)
    browser = RecordBrowser(engine, old)
    assert browser.step(1)
    assert browser.record.seq == 92


def test_the_bytes_come_from_the_screen_first_then_from_the_engine() -> None:
    engine = FakeEngine()
    emit(engine, "mine", "mine", "mine")
    first, second, third = all_records(engine)
    engine.keep_frame(2, b"engine")
    frames = {1: b"screen", 3: None}
    assert RecordBrowser(engine, first, (), frames).body() == b"screen"
    assert RecordBrowser(engine, second, (), frames).body() == b"engine"
    assert RecordBrowser(engine, third, (), frames).body() is None


@pytest.mark.parametrize(
    ("text", "body"), [("00ff", b"\x00\xff"), ("", None), (None, None), ("no hex", None)]
)
def test_a_fault_brings_its_bytes_along(text: str | None, body: bytes | None) -> None:
    engine = FakeEngine()
    engine.emit(record("plugin_fault", plugin="mine", bytes=text))
    fault = engine.since("plugin_fault", 0).records[0]
    assert RecordBrowser(engine, fault).body() == body
