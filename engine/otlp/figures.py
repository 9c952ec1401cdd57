"""Which figures of the tables are exported as metrics, and under which names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

PID = "process.pid"


class Figure(NamedTuple):
    """A field that is a metric; its help is the metric's description."""

    field: str
    name: str
    unit: str
    counts: bool = True
    """Whether it only grows, from zero: a monotonic sum; otherwise a gauge."""
    by: str = ""
    """Where the field is a map of numbers: the attribute that its keys become."""


class Table(NamedTuple):
    """A table whose rows are metrics."""

    labels: Mapping[str, str]
    """Fields that tell one row from another, each with its attribute."""
    figures: tuple[Figure, ...]
    since: str = ""
    """Field with the time from which its sums count, Unix seconds; the engine's start without."""


TABLES: Mapping[str, Table] = {
    "plugin_state": Table(
        {"plugin": "boxscope.plugin", "plugin_kind": "boxscope.plugin_kind", "pid": PID},
        (
            Figure("tx_count", "boxscope.plugin.records", "{record}"),
            Figure("tx_bytes", "boxscope.plugin.io", "By"),
            Figure("rx_count", "boxscope.plugin.tasks", "{task}"),
            Figure("dropped", "boxscope.plugin.dropped", "{record}"),
            Figure("restarts", "boxscope.plugin.restarts", "{restart}"),
            Figure("tx_rate", "boxscope.plugin.record_rate", "{record}/s", counts=False),
            Figure("cpu", "boxscope.plugin.cpu", "{cpu}", counts=False),
            Figure("rss", "boxscope.plugin.memory", "By", counts=False),
            Figure("fds", "boxscope.plugin.open_file_descriptors", "{fd}", counts=False),
        ),
        since="started",
    ),
    "capture_state": Table(
        {"pid": PID},
        (
            Figure("payloads", "boxscope.capture.payloads", "{message}"),
            Figure("payload_bytes", "boxscope.capture.io", "By"),
            Figure("dropped", "boxscope.capture.dropped", "{message}"),
        ),
    ),
    "traffic_state": Table(
        {},
        (
            Figure("flows", "boxscope.traffic.flows", "{connection}", counts=False),
            Figure("messages", "boxscope.traffic.messages", "{message}"),
            Figure("answered", "boxscope.traffic.answered", "{message}"),
            Figure("unanswered", "boxscope.traffic.unanswered", "{message}"),
            Figure("unmatched", "boxscope.traffic.unmatched", "{message}"),
            Figure("missing_bytes", "boxscope.traffic.missing", "By"),
        ),
    ),
    "wasm_plugin": Table(
        {"plugin": "boxscope.plugin"},
        (
            Figure("calls", "boxscope.wasm.calls", "{call}"),
            Figure("traps", "boxscope.wasm.traps", "{call}"),
            Figure("rejected", "boxscope.wasm.rejected", "{result}"),
            Figure("p50_us", "boxscope.wasm.call_median", "us", counts=False),
            Figure("p99_us", "boxscope.wasm.call_p99", "us", counts=False),
            Figure("memory", "boxscope.wasm.memory", "By", counts=False),
        ),
    ),
    "subscription": Table(
        {"event": "boxscope.event", "category": "boxscope.category"},
        (Figure("total", "boxscope.events", "{event}"),),
    ),
    "probe_state": Table(
        {},
        (
            Figure("produced", "boxscope.probe.produced", "{event}"),
            Figure("read", "boxscope.probe.read", "{event}"),
            Figure("dropped", "boxscope.probe.dropped", "{event}", by="boxscope.reason"),
            Figure("ring_peak", "boxscope.probe.ring_peak", "%", counts=False),
            Figure("reader_cpu", "boxscope.probe.reader_cpu", "{cpu}", counts=False),
        ),
    ),
}
"""By kind, the figures of its rows."""
