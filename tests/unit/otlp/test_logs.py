"""What becomes of each record of a kind that is sent as a log record."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record
from engine.core.snapshot import HostFacts
from engine.otlp.logs import LogMaker
from engine.otlp.options import LOG_KINDS
from engine.otlp.origin import Origin
from tests.unit.otlp.receiver import attributes
from tests.unit.recording.test_recorder import RECORDS

MAKE = LogMaker(Origin(HostFacts("box", "6.18", "root")))


def sent(record: Record) -> LogRecord:
    """The log record as it goes over the wire."""
    request = encode_logs([MAKE(record)])
    read = type(request).FromString(request.SerializeToString())
    return read.resource_logs[0].scope_logs[0].log_records[0]


def made(kind: str, *, pid: int | None = 7, **values: JsonValue) -> LogRecord:
    return sent(new_record(KINDS[kind], values, ts_ns=5, pid=pid, comm="nginx"))


def test_a_kernel_event_has_the_attributes_of_the_conventions() -> None:
    log = made(
        "kernel_event",
        tid=7,
        cpu=3,
        uid=33,
        name="connect",
        event="syscall_exit-connect",
        result=-111,
        errno="ECONNREFUSED",
        latency_ns=1_500,
        fd_protocol="tcp",
        container_id="0123456789ab",
        attributes={"sip": "10.0.0.1", "sport": 4, "dip": "10.0.0.2", "dport": 80, "rtt": 2},
    )
    told = attributes(log)
    assert (log.event_name, log.body.string_value) == (
        "boxscope.kernel_event",
        "connect = ECONNREFUSED",
    )
    assert log.time_unix_nano == 5
    assert told.items() >= {
        "process.pid": 7,
        "process.executable.name": "nginx",
        "process.user.id": 33,
        "thread.id": 7,
        "cpu.logical_number": 3,
        "error.type": "ECONNREFUSED",
        "container.id": "0123456789ab",
        "network.transport": "tcp",
        "network.local.address": "10.0.0.1",
        "network.local.port": 4,
        "network.peer.address": "10.0.0.2",
        "network.peer.port": 80,
        "boxscope.event": "syscall_exit-connect",
        "boxscope.latency_ns": 1_500,
        "boxscope.attributes.rtt": 2,
    }.items()  # fmt: skip


def test_the_name_of_a_thread_is_not_taken_for_its_programs() -> None:
    told = attributes(made("kernel_event", tid=8, name="read"))
    assert told["thread.name"] == "nginx"
    assert "process.executable.name" not in told


def test_what_is_absent_is_left_out() -> None:
    assert attributes(made("kernel_event", pid=None, tid=None, name="read", result=0)).keys() == {
        "boxscope.seq",
        "boxscope.name",
        "boxscope.result",
        "process.executable.name",
    }


def test_a_plugins_record_is_the_body() -> None:
    log = made("plugin_record", plugin="p", data_type=9, fields={"user": "me", "deep": [1, {}]})
    assert [pair.key for pair in log.body.kvlist_value.values] == ["user", "deep"]
    assert "boxscope.fields.user" not in attributes(log)
    assert attributes(log)["boxscope.data_type"] == 9


@pytest.mark.parametrize(
    ("kind", "values", "severity"),
    [
        ("log", {"level": "info"}, SeverityNumber.SEVERITY_NUMBER_INFO),
        ("log", {"level": "warning"}, SeverityNumber.SEVERITY_NUMBER_WARN),
        ("log", {"level": "error"}, SeverityNumber.SEVERITY_NUMBER_ERROR),
        ("plugin_fault", {}, SeverityNumber.SEVERITY_NUMBER_WARN),
        ("module_event", {"event": "panicked"}, SeverityNumber.SEVERITY_NUMBER_WARN),
        ("wasm_result", {"error": "trap"}, SeverityNumber.SEVERITY_NUMBER_ERROR),
        ("kernel_event", {"errno": "ENOENT"}, SeverityNumber.SEVERITY_NUMBER_INFO),
    ],
)
def test_how_severe_it_is(kind: str, values: dict[str, JsonValue], severity: int) -> None:
    assert made(kind, pid=7, **values).severity_number == severity


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(LOG_KINDS).flatmap(RECORDS.__getitem__))
def test_every_record_can_be_sent(record: Record) -> None:
    assert attributes(sent(record))["boxscope.seq"] == record.seq
