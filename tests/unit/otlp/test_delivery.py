"""Everything arrives at a real collector or is counted with the reason, whatever that one does."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import UsageError
from engine.core.fields import JsonValue
from engine.core.source import Logbook, SourceStatus
from engine.otlp import sender
from engine.otlp.answers import of_grpc
from engine.otlp.export import OtlpExport
from engine.otlp.lots import LOT
from engine.otlp.options import OtlpOptions
from engine.recording.redaction import HIDDEN
from tests.unit.otlp.receiver import REJECTED, ROOM, HttpReceiver, Receiver, attributes, started
from tests.unit.recording.test_recorder import SECOND, Rings
from tests.waiting import wait_until

BOTH = pytest.mark.parametrize("receiver", ["http", "grpc"], indirect=True)


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    """A collector that speaks what the test asks for; HTTP, where it does not say."""
    made = started(getattr(request, "param", "http"))
    yield made
    made.released.set()
    made.stop()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for something to send, and try again, without the pauses that spare a collector."""
    monkeypatch.setattr(sender, "INTERVAL_S", 0.01)
    monkeypatch.setattr(sender, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(sender, "LONGEST_PAUSE_S", 0.05)


def options_for(receiver: Receiver, **others: Any) -> OtlpOptions:
    plain = OtlpOptions(receiver.url, receiver.protocol, metrics_s=3_600, flush_s=5)
    return replace(plain, **others)


def exporting(
    receiver: Receiver, rings: Rings, *, log: Logbook | None = None, **others: Any
) -> OtlpExport:
    """An export that has begun."""
    export = OtlpExport(rings, options_for(receiver, **others), log or Logbook(SystemClock()))
    export.start()
    return export


def exported(receiver: Receiver, rings: Rings, **others: Any) -> SourceStatus:
    """How an export of all that the rings hold has ended."""
    export = exporting(receiver, rings, log=None, **others)
    export.stop()
    return export.status()


def events(rings: Rings, number: int, **values: JsonValue) -> None:
    for _ in range(number):
        rings.add("kernel_event", SECOND, name="openat", **values)


def balanced(status: SourceStatus) -> bool:
    """Whether everything seen was kept or dropped, as a whole and by signal."""
    return status.counters.balanced and all(each.balanced for each in status.stages.values())


@BOTH
def test_every_record_arrives(receiver: Receiver) -> None:
    rings = Rings()
    events(rings, 2 * LOT + 7)
    for kind in ("plugin_record", "plugin_fault", "module_event", "process", "wasm_result"):
        rings.add(kind)
    rings.add("log", level="warning", text="mind the gap")
    rings.add("l7_message", protocol="HTTP", request="GET /", status="200", latency_ms=1.5)
    status = exported(receiver, rings)
    names = Counter(item.event_name for item in receiver.items["logs"])
    assert names["boxscope.kernel_event"] == 2 * LOT + 7
    assert set(names.values()) == {2 * LOT + 7, 1}
    assert len(receiver.items["traces"]) == 1
    assert {name: each.kept for name, each in status.stages.items()} == {
        "logs": 2 * LOT + 13,
        "traces": 1,
        "metrics": len(receiver.items["metrics"]),
    }
    assert status.counters.dropped == {}
    assert balanced(status)
    assert status.state == "off"


@BOTH
def test_headers_are_sent_and_the_box_is_named(receiver: Receiver) -> None:
    rings = Rings()
    events(rings, 1)
    exported(receiver, rings, headers={"authorization": "Bearer secret"})
    assert receiver.metadata[0]["authorization"] == "Bearer secret"
    told = attributes(receiver.resources["logs"][0])
    assert (told["service.name"], told["host.name"]) == ("boxscope", "box")


@BOTH
def test_what_the_collector_rejects_of_a_request_is_counted(receiver: Receiver) -> None:
    receiver.behaviour, receiver.only = "partial", "logs"
    rings = Rings()
    events(rings, 10)
    status = exported(receiver, rings)
    assert status.stages["logs"].kept == len(receiver.items["logs"]) == 10 - REJECTED
    assert status.stages["logs"].dropped == {"rejected": REJECTED}
    assert status.state == "degraded"
    assert f"logs: {REJECTED} rejected: too␛old" in status.reason
    assert balanced(status)


def test_a_warning_without_a_rejection_is_no_loss(receiver: Receiver) -> None:
    receiver.behaviour = "warn"
    rings = Rings()
    events(rings, 10)
    status = exported(receiver, rings)
    assert status.stages["logs"].kept == 10
    assert status.state == "off"


@BOTH
def test_what_the_collector_refuses_is_not_sent_again(receiver: Receiver) -> None:
    receiver.behaviour, receiver.only = "refuse", "logs"
    rings = Rings()
    events(rings, 10)
    status = exported(receiver, rings)
    assert receiver.requests["logs"] == 1
    assert status.stages["logs"].dropped == {"refused": 10}
    assert status.stages["metrics"].dropped == {}
    assert "does not take all logs: " in status.reason
    assert balanced(status)


@BOTH
def test_a_busy_collector_is_asked_again_until_it_takes_it(receiver: Receiver) -> None:
    receiver.behaviour = "busy"
    rings = Rings()
    events(rings, 10)
    log = Logbook(SystemClock())
    export = exporting(receiver, rings, log=log)
    wait_until(lambda: receiver.requests["logs"] >= 3)
    wait_until(lambda: export.status().state == "degraded")
    assert "10 wait" in export.status().reason
    assert export.status().stages["logs"].seen == 0
    receiver.behaviour = "ok"
    wait_until(lambda: export.status().counters.kept == 10)
    assert export.status().state == "running"
    assert receiver.numbers == list(range(1, 11))
    export.stop()
    said = [str(line.get("text")) for line in log.ring.since(0).records]
    assert len(said) == 2
    assert f"{receiver.url} does not take logs: " in said[0]
    assert said[1] == f"{receiver.url} takes logs again"


def test_a_request_is_given_up_after_its_time(receiver: Receiver) -> None:
    receiver.behaviour = "busy"
    rings = Rings()
    events(rings, 10)
    export = exporting(receiver, rings, retry_s=0)
    wait_until(lambda: export.status().counters.dropped == {"gave_up": 10})
    receiver.behaviour = "ok"
    events(rings, 1)
    wait_until(lambda: receiver.numbers == [11])
    export.stop()
    assert balanced(export.status())


@BOTH
def test_what_is_too_large_for_one_request_is_sent_in_pieces(receiver: Receiver) -> None:
    receiver.behaviour, receiver.only = "too_large", "logs"
    rings = Rings()
    events(rings, 3 * ROOM)
    status = exported(receiver, rings)
    assert sorted(receiver.numbers) == list(range(1, 3 * ROOM + 1))
    assert status.stages["logs"].kept == 3 * ROOM
    assert balanced(status)


def test_a_record_that_cannot_be_encoded_takes_no_other_with_it(receiver: Receiver) -> None:
    rings = Rings()
    events(rings, 5)
    rings.add("kernel_event", ts_ns=-1, name="before time")
    events(rings, 5)
    status = exported(receiver, rings)
    assert sorted(receiver.numbers) == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert status.stages["logs"].dropped == {"too_large": 1}
    assert balanced(status)


@BOTH
def test_a_collector_that_was_away_loses_only_what_is_counted(receiver: Receiver) -> None:
    rings = Rings(capacity=500)
    events(rings, 100)
    export = exporting(receiver, rings)
    wait_until(lambda: export.status().stages and export.status().stages["logs"].kept == 100)
    receiver.stop()
    events(rings, 100)
    wait_until(lambda: export.status().state == "degraded")
    events(rings, 2_000)
    receiver.start()
    wait_until(lambda: export.status().stages["logs"].seen == 2_200)
    export.stop()
    status = export.status()
    lost = status.stages["logs"].dropped
    assert lost.keys() == {"engine_forgot"}
    assert len(set(receiver.numbers)) == status.stages["logs"].kept == 2_200 - sum(lost.values())
    assert set(receiver.numbers) >= {*range(1, 201), *range(1_701, 2_201)}
    assert balanced(status)


def test_a_connection_that_is_reset_is_made_again(receiver: Receiver) -> None:
    receiver.behaviour = "reset"
    rings = Rings()
    events(rings, 10)
    export = exporting(receiver, rings)
    wait_until(lambda: receiver.requests["logs"] >= 2)
    wait_until(lambda: export.status().state == "degraded")
    receiver.behaviour = "ok"
    wait_until(lambda: export.status().counters.kept == 10)
    export.stop()
    assert receiver.numbers == list(range(1, 11))


@BOTH
def test_the_end_does_not_wait_for_a_collector_that_hangs(receiver: Receiver) -> None:
    receiver.behaviour = "hang"
    rings = Rings()
    events(rings, 10)
    export = exporting(receiver, rings, flush_s=0.2)
    wait_until(lambda: receiver.requests["logs"] == 1)
    events(rings, 5)
    ended = threading.Thread(target=export.stop)
    ended.start()
    ended.join(10)
    assert not ended.is_alive()
    logs = export.status().stages["logs"]
    assert logs.dropped == {"no_answer": 10, "not_sent": 5}
    assert balanced(export.status())
    receiver.released.set()
    assert export.status().stages["logs"] == logs


def test_the_end_does_not_wait_for_a_collector_that_is_not_there(receiver: Receiver) -> None:
    rings = Rings()
    events(rings, 10)
    receiver.stop()
    try:
        status = exported(receiver, rings, flush_s=0.2)
    finally:
        receiver.start()
    assert status.stages["logs"].dropped == {"not_sent": 10}
    assert status.reason.endswith("Connection refused")
    assert balanced(status)


def test_one_signal_does_not_wait_for_another(receiver: Receiver) -> None:
    receiver.behaviour, receiver.only = "busy", "logs"
    rings = Rings()
    events(rings, 10)
    rings.add("l7_message", protocol="DNS", request="A example.org", status="NOERROR")
    export = exporting(receiver, rings, flush_s=0.1)
    wait_until(lambda: len(receiver.items["traces"]) == 1)
    export.stop()
    assert export.status().stages["logs"].dropped == {"not_sent": 10}


def test_a_collector_without_room_is_not_taken_for_one_with_small_requests() -> None:
    assert of_grpc("RESOURCE_EXHAUSTED", "received message larger than max", None).verdict == (
        "too_large"
    )
    assert of_grpc("RESOURCE_EXHAUSTED", "quota", None).verdict == "refused"
    assert of_grpc("RESOURCE_EXHAUSTED", "quota", 2.5).pause_s == 2.5


def test_something_else_that_answers_is_said(receiver: Receiver) -> None:
    assert isinstance(receiver, HttpReceiver)
    receiver.codes["refuse"] = 302
    receiver.behaviour = "refuse"
    rings = Rings()
    events(rings, 1)
    status = exported(receiver, rings)
    assert status.counters.kept == 0
    assert "HTTP 302" in status.reason


def test_redacted_and_filtered_as_a_recording(receiver: Receiver) -> None:
    rings = Rings()
    events(rings, 2, attributes={"data": "secret", "args": ["-p", "secret"]})
    rings.add("plugin_record", fields={"token": "secret"})
    rings.add("kernel_event", name="close")
    rings.add("log", text="said anyway")
    chosen = "name == openat or kind == plugin_record"
    status = exported(receiver, rings, redact=("payloads", "arguments"), filter_text=chosen)
    assert b"secret" not in b"".join(item.SerializeToString() for item in receiver.items["logs"])
    assert HIDDEN.encode() in receiver.items["logs"][0].SerializeToString()
    assert [item.event_name for item in receiver.items["logs"]].count("boxscope.log") == 1
    assert status.stages["logs"].seen == status.stages["logs"].kept == 4


def test_a_bug_in_it_is_said_and_everything_counted(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.otlp import logs

    monkeypatch.setattr(logs, "attributes_of", lambda record: {}[record.kind])
    rings = Rings()
    events(rings, 10)
    status = exported(receiver, rings)
    assert status.state == "failed"
    assert "the export of logs has failed: KeyError" in status.reason
    assert status.stages["logs"].dropped == {"not_sent": 10}
    assert balanced(status)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_COMPRESSION", "secret-zip"), ("OTEL_EXPORTER_OTLP_TIMEOUT", "secret")],
)
def test_variables_that_mean_nothing_are_said_without_their_value(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    rings = Rings()
    events(rings, 3)
    status = exported(receiver, rings, protocol="grpc")
    assert status.state == "failed"
    assert "cannot be made" in status.reason
    assert "OTEL_EXPORTER_OTLP_*" in status.fix
    assert "secret" not in status.reason + status.fix
    assert status.counters.dropped == {"not_sent": 3}


def test_the_standard_variables_are_heeded(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=blue%20green")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "debugger")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=lab")
    rings = Rings()
    events(rings, 3)
    assert exported(receiver, rings, endpoint=None, protocol=None).counters.dropped == {}
    told = attributes(receiver.resources["logs"][0])
    assert (told["service.name"], told["deployment.environment.name"]) == ("debugger", "lab")
    assert receiver.metadata[0]["x-tenant"] == "blue green"
    assert receiver.metadata[0]["content-encoding"] == "gzip"


def test_a_protocol_that_is_not_spoken_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(UsageError, match="names no protocol"):
        OtlpOptions(None).protocol_of("logs")
