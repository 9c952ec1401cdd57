"""What a snapshot becomes: sums that only grow, and gauges."""

from __future__ import annotations

from typing import Any

from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality, Metric

from engine.core.counters import Counters
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record
from engine.core.snapshot import HostFacts, Snapshot
from engine.core.source import SourceStatus
from engine.otlp.figures import TABLES
from engine.otlp.metrics import as_data, metrics_of, points_in
from engine.otlp.origin import Origin
from tests.unit.otlp.receiver import attributes, items_of

SECOND = 1_000_000_000
ORIGIN = Origin(HostFacts("box", "6.18", "root"))


def row(kind: str, pid: int | None = None, **values: JsonValue) -> Record:
    return new_record(KINDS[kind], values, ts_ns=1, pid=pid)


def snapshot(*rows: Record, **sources: SourceStatus) -> Snapshot:
    tables: dict[str, tuple[Record, ...]] = {}
    for each in rows:
        tables[each.kind] = (*tables.get(each.kind, ()), each)
    host = HostFacts("box", "6.18", "root")
    return Snapshot(100 * SECOND, 40.0, host, sources, tables, 0.25, 4_096)


def sent(of: Snapshot) -> dict[str, Metric]:
    """Metrics by name as they go over the wire."""
    metrics = metrics_of(of)
    request = encode_metrics(as_data(metrics, ORIGIN))
    read: Any = type(request).FromString(request.SerializeToString())
    assert len(list(items_of("metrics", read))) == points_in(metrics)
    return {metric.name: metric for metric in read.resource_metrics[0].scope_metrics[0].metrics}


def test_what_a_source_counted_is_sums_since_the_engines_start() -> None:
    counters = Counters(10, 7, {"ring_full": 2, "too_long": 1}, 1.5)
    metrics = sent(snapshot(probe=SourceStatus("probe", "running", counters=counters)))
    seen = metrics["boxscope.source.seen"].sum
    assert seen.is_monotonic
    assert seen.aggregation_temporality == (
        AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
    )
    (point,) = seen.data_points
    assert (point.as_int, point.start_time_unix_nano, point.time_unix_nano) == (
        10,
        60 * SECOND,
        100 * SECOND,
    )
    assert attributes(point) == {"boxscope.source": "probe"}
    assert {
        attributes(point)["boxscope.reason"]: point.as_int
        for point in metrics["boxscope.source.dropped"].sum.data_points
    } == {"ring_full": 2, "too_long": 1}
    assert metrics["boxscope.source.running"].gauge.data_points[0].as_int == 1


def test_a_plugin_counts_since_its_own_start_and_what_is_unknown_is_no_zero() -> None:
    known = row("plugin_state", 9, plugin="a", started=70, tx_count=5, cpu=0.5, rss=8_192)
    metrics = sent(snapshot(known, row("plugin_state", plugin="b", tx_count=1)))
    first, second = metrics["boxscope.plugin.records"].sum.data_points
    assert attributes(first) == {"boxscope.plugin": "a", "process.pid": 9}
    assert (first.as_int, first.start_time_unix_nano) == (5, 70 * SECOND)
    assert second.start_time_unix_nano == 60 * SECOND
    (cpu,) = metrics["boxscope.plugin.cpu"].gauge.data_points
    assert cpu.as_double == 0.5
    assert metrics["boxscope.plugin.memory"].unit == "By"


def test_losses_by_reason_are_one_metric() -> None:
    metrics = sent(snapshot(row("probe_state", produced=5, dropped={"ring_full": 2})))
    (point,) = metrics["boxscope.probe.dropped"].sum.data_points
    assert (attributes(point), point.as_int) == ({"boxscope.reason": "ring_full"}, 2)


def test_switches_that_delivered_nothing_are_left_out() -> None:
    rows = [row("subscription", event=name, category="net", total=n) for n, name in enumerate("ab")]
    (point,) = sent(snapshot(*rows))["boxscope.events"].sum.data_points
    assert attributes(point)["boxscope.event"] == "b"


def test_every_figure_is_a_field_with_a_name_of_its_own() -> None:
    named: set[str] = set()
    for kind, table in TABLES.items():
        for field in (*table.labels, *filter(None, [table.since])):
            assert KINDS[kind].field(field)
        for figure in table.figures:
            assert KINDS[kind].field(figure.field).type in ("int", "float", "map")
            assert bool(figure.by) == (KINDS[kind].field(figure.field).type == "map")
            assert figure.name not in named
            named.add(figure.name)
