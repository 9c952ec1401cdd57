"""A snapshot as metrics: what every source counted, and the figures of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.core.snapshot import Snapshot
from engine.core.source import SourceStatus
from engine.otlp.figures import TABLES, Table
from engine.otlp.origin import SCOPE, Origin

_ITEMS = "{item}"
Labels = Mapping[str, str | int]


class _Series(NamedTuple):
    """What the points of one metric share."""

    name: str
    unit: str
    help: str
    counts: bool


class _Point(NamedTuple):
    """One number."""

    of: _Series
    value: int | float
    labels: Labels
    since_ns: int = 0
    """From when a sum counts; 0 for the engine's start."""


def metrics_of(snapshot: Snapshot) -> list[Metric]:
    """Everything countable in a snapshot; sums are cumulative since the engine's start."""
    start_ns = snapshot.wall_ns - int(snapshot.elapsed_s * 1e9)
    found: dict[_Series, list[NumberDataPoint]] = {}
    for point in _points(snapshot):
        since_ns = point.since_ns or start_ns
        found.setdefault(point.of, []).append(
            NumberDataPoint(dict(point.labels), since_ns, snapshot.wall_ns, point.value)
        )
    return [
        Metric(series.name, series.help, series.unit, _data(series, points))
        for series, points in found.items()
    ]


def as_data(metrics: list[Metric], origin: Origin) -> MetricsData:
    """Metrics as the SDK's exporters take them."""
    scope = ScopeMetrics(SCOPE, metrics, "")
    return MetricsData([ResourceMetrics(origin.own, [scope], "")])


def points_in(metrics: list[Metric]) -> int:
    """How many points there are, which is what a collector counts."""
    return sum(len(metric.data.data_points) for metric in metrics)


def _data(series: _Series, points: list[NumberDataPoint]) -> Sum | Gauge:
    if series.counts:
        return Sum(points, AggregationTemporality.CUMULATIVE, is_monotonic=True)
    return Gauge(points)


def _points(snapshot: Snapshot) -> Iterator[_Point]:
    yield _Point(_OWN_CPU, snapshot.own_cpu, {})
    yield _Point(_OWN_MEMORY, snapshot.own_rss, {})
    for name, status in snapshot.sources.items():
        yield from _of_source(name, status)
    for kind, table in TABLES.items():
        for row in snapshot.tables.get(kind, ()):
            yield from _of_row(row, table)


_OWN_CPU = _Series("boxscope.self.cpu", "{cpu}", "Share of one core boxscope uses.", False)
_OWN_MEMORY = _Series("boxscope.self.memory", "By", "Resident memory of boxscope.", False)
_SEEN = _Series("boxscope.source.seen", _ITEMS, "Items that arrived at a source.", True)
_KEPT = _Series("boxscope.source.kept", _ITEMS, "Items a source handed on.", True)
_DROPPED = _Series("boxscope.source.dropped", _ITEMS, "Items a source lost, by reason.", True)
_LAG = _Series("boxscope.source.lag", "ms", "Age of a source's newest item.", False)
_RUNS = _Series("boxscope.source.running", "1", "1 while a source runs, 0 if it cannot.", False)


def _of_source(name: str, status: SourceStatus) -> Iterator[_Point]:
    labels, counters = {"boxscope.source": name}, status.counters
    yield _Point(_SEEN, counters.seen, labels)
    yield _Point(_KEPT, counters.kept, labels)
    for reason, number in counters.dropped.items():
        yield _Point(_DROPPED, number, {**labels, "boxscope.reason": reason})
    yield _Point(_LAG, counters.lag_ms, labels)
    yield _Point(_RUNS, int(status.state == "running"), labels)


def _of_row(row: Record, table: Table) -> Iterator[_Point]:
    labels: dict[str, str | int] = {}
    for field, key in table.labels.items():
        label = row.get(field)
        if isinstance(label, str | int):
            labels[key] = label
    since = row.get(table.since) if table.since else None
    since_ns = since * 1_000_000_000 if isinstance(since, int) else 0
    for figure in table.figures:
        value = row.get(figure.field)
        series = _Series(
            figure.name, figure.unit, KINDS[row.kind].field(figure.field).help, figure.counts
        )
        if isinstance(value, Mapping):
            for key, part in _numbers(value):
                yield _Point(series, part, {**labels, figure.by: key}, since_ns)
        elif isinstance(value, int | float) and not (row.kind == "subscription" and not value):
            yield _Point(series, value, labels, since_ns)


def _numbers(value: Mapping[str, JsonValue]) -> Iterator[tuple[str, int | float]]:
    for key, part in value.items():
        if isinstance(part, int | float):
            yield key, part
