"""Which figures there are to draw: what a look at the engine tells, by name, with its unit."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.core.counters import Counters
from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import SourceStatus

ALL = "all"
"""The subject of figures that are not about one thing."""
_MOST_SERVICES = 50


class FigureId(NamedTuple):
    """What identifies a figure."""

    group: str
    """source, plugin, wasm, subscription, service, probe, ports, boxscope."""
    subject: str
    """Which one of them; sanitised."""
    name: str

    def __str__(self) -> str:
        return " ".join(part for part in (self.group, self.subject, self.name) if part != ALL)


class Declared(NamedTuple):
    """What is known of figures of a name."""

    unit: str
    help: str


_SOURCE = {
    "seen": Declared("/s", "Items that arrived."),
    "kept": Declared("/s", "Items handed on."),
    "dropped": Declared("/s", "Items lost, for any reason."),
    "lag": Declared("ms", "Age of the newest item when it was taken in."),
}
_PLUGIN = {
    "records": Declared("/s", "Records it sends."),
    "bytes": Declared("B/s", "Bytes it sends."),
    "tasks": Declared("/s", "Tasks it is given."),
    "dropped": Declared("/s", "Its records that were lost here."),
    "cpu": Declared("cores", "Share of one core."),
    "rss": Declared("B", "Resident memory."),
    "fds": Declared("", "Open file descriptors."),
}
_WASM = {
    "calls": Declared("/s", "Calls of its hooks."),
    "traps": Declared("/s", "Calls that trapped or came to the deadline."),
    "rejected": Declared("/s", "Results that were refused."),
    "p50": Declared("us", "Median time of its last calls."),
    "p99": Declared("us", "Time that 99 of 100 of its last calls stay below."),
    "memory": Declared("B", "Linear memory."),
}
_PROBE = {
    "ring": Declared("%", "The most the kernel's ring was full in a second."),
    "oldest": Declared("ms", "Age of the oldest event in the ring."),
    "reader": Declared("cores", "CPU that reading the ring takes."),
    "programs": Declared("cores", "CPU the kernel programs take, while they are timed."),
}
_SERVICE = {
    "messages": Declared("/s", "Messages of its traffic."),
    "latency p95": Declared("ms", "Time that 95 of 100 answers of a second stay below."),
}
_DECLARED: Mapping[str, Mapping[str, Declared]] = {
    "source": _SOURCE,
    "plugin": _PLUGIN,
    "wasm": _WASM,
    "probe": _PROBE,
    "service": _SERVICE,
    "subscription": {"events": Declared("/s", "Events it delivers.")},
    "ports": {"changes": Declared("/s", "Processes that came, changed or went.")},
    "boxscope": {
        "cpu": Declared("cores", "What boxscope itself takes of a core."),
        "rss": Declared("B", "Resident memory of boxscope itself."),
    },
}
_ROWS = {
    "plugin_state": ("plugin", {"tx_rate": "records", "tx_speed": "bytes", "rx_rate": "tasks",
                                "cpu": "cpu", "rss": "rss", "fds": "fds"}, {"dropped": "dropped"}),
    "wasm_plugin": ("wasm", {"p50_us": "p50", "p99_us": "p99", "memory": "memory"},
                    {"calls": "calls", "traps": "traps", "rejected": "rejected"}),
}  # fmt: skip
"""By kind of row: the group, fields that are levels, and fields that count."""
_PROBE_LEVELS = {
    "ring_peak": "ring",
    "oldest_ms": "oldest",
    "reader_cpu": "reader",
    "programs_cpu": "programs",
}


def declared(figure: FigureId) -> Declared:
    """Unit and meaning of a figure."""
    name = figure.name.rpartition(" › ")[2]  # of a stage
    known = _DECLARED[figure.group].get(name)
    if known is not None:
        return known
    return Declared("/s", f"Items lost: {name.removeprefix('dropped: ')}.")


def losses_beside(figure: FigureId) -> FigureId:
    """The figure that tells what was lost while this one was what it was."""
    match figure.group:
        case "plugin":
            return FigureId("plugin", figure.subject, "dropped")
        case "wasm":
            return FigureId("source", "wasm", "dropped")
        case "subscription" | "probe":
            return FigureId("source", "probe", "dropped")
        case "service":
            return FigureId("source", "traffic", "dropped")
        case "ports":
            return FigureId("source", "discovery", "dropped")
        case "source":
            return FigureId("source", figure.subject, "dropped")
    return FigureId("source", ALL, "dropped")


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the engine tells."""

    ts_ns: int
    elapsed_s: float
    """Time since the engine started."""
    sources: Mapping[str, SourceStatus]
    tables: Mapping[str, Sequence[Record]]
    own: tuple[float, int] | None = None
    """CPU share and resident memory of boxscope itself, where that is known."""
    changes: int = 0
    """Number of the last change of a process."""
    messages: Sequence[Record] = field(default_factory=tuple)
    """Messages since the look before, or as many of them as were read."""
    message_number: int = 0
    """Number of the last message."""


class FigureReader:
    """Turns looks into figures; what counts up becomes a rate between two looks."""

    def __init__(self) -> None:
        self._before: dict[FigureId, float] = {}
        self._elapsed_s = math.inf
        self._services: dict[str, float] = {}

    def read(self, look: Look) -> dict[FigureId, float]:
        """Every figure that is known now.

        A rate is not known at the first look, nor where a counter began anew.
        """
        passed_s = look.elapsed_s - self._elapsed_s
        counts = dict(_counts(look))
        figures = dict(_levels(look))
        if passed_s > 0:
            before = self._before
            figures |= {
                figure: (count - before[figure]) / passed_s
                for figure, count in counts.items()
                if count >= before.get(figure, math.inf)
            }
            figures |= self._services_now(look.messages, passed_s)
        self._before, self._elapsed_s = counts, look.elapsed_s
        return figures

    def _services_now(
        self, messages: Iterable[Record], passed_s: float
    ) -> Iterator[tuple[FigureId, float]]:
        """Messages and latency of every service; a service that is silent has no latency."""
        latencies: defaultdict[str, list[float]] = defaultdict(list)
        numbers = dict.fromkeys(self._services, 0.0)
        every: list[float] = []
        for message in messages:
            service = service_of(message)
            if service not in numbers and len(numbers) >= _MOST_SERVICES:
                service = "others"
            numbers[service] = numbers.get(service, 0) + 1
            if (latency := _number(message.get("latency_ms"))) is not None:
                latencies[service].append(latency)
                every.append(latency)
        self._services = numbers
        for service, number in numbers.items():
            yield FigureId("service", service, "messages"), number / passed_s
        for service, told in [*latencies.items(), *([(ALL, every)] if every else [])]:
            yield FigureId("service", service, "latency p95"), percentile(told, 0.95)


def service_of(message: Record) -> str:
    """How the server of a message is called: its process and port, else its address."""
    address, name = str(message.get("dst") or "?"), message.get("server_comm")
    port = address.rpartition(":")[2]
    return clean(f"{name}:{port}" if name else address, 60)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _levels(look: Look) -> Iterator[tuple[FigureId, float]]:
    """What is as it is."""
    if look.own is not None:
        yield FigureId("boxscope", ALL, "cpu"), look.own[0]
        yield FigureId("boxscope", ALL, "rss"), float(look.own[1])
    for name, status in look.sources.items():
        yield FigureId("source", clean(name), "lag"), status.counters.lag_ms
    for kind, (group, levels, _counted) in _ROWS.items():
        for row in look.tables.get(kind, ()):
            yield from _fields(group, _name(row), row, levels)
    for row in look.tables.get("subscription", ()):
        if row.get("on"):
            subject = f"{row.get('event')}:{row.get('category')}"
            yield from _fields("subscription", clean(subject), row, {"rate": "events"})
    for row in look.tables.get("probe_state", ()):
        yield from _fields("probe", ALL, row, _PROBE_LEVELS)


def _counts(look: Look) -> Iterator[tuple[FigureId, float]]:
    """What counts up."""
    lost = 0
    for name, status in look.sources.items():
        subject = clean(name)
        lost += status.counters.dropped_total
        yield from _counters(subject, "", status.counters)
        for stage, counters in status.stages.items():
            yield from _counters(subject, f"{clean(stage)} › ", counters)
    yield FigureId("source", ALL, "dropped"), lost
    yield FigureId("ports", ALL, "changes"), look.changes
    yield FigureId("service", ALL, "messages"), look.message_number
    for kind, (group, _as_it_is, counting) in _ROWS.items():
        for row in look.tables.get(kind, ()):
            yield from _fields(group, _name(row), row, counting)


def _counters(subject: str, stage: str, counters: Counters) -> Iterator[tuple[FigureId, float]]:
    yield FigureId("source", subject, f"{stage}seen"), counters.seen
    yield FigureId("source", subject, f"{stage}kept"), counters.kept
    yield FigureId("source", subject, f"{stage}dropped"), counters.dropped_total
    for reason, number in counters.dropped.items():
        yield FigureId("source", subject, f"{stage}dropped: {clean(reason)}"), number


def _fields(
    group: str, subject: str, row: Record, names: Mapping[str, str]
) -> Iterator[tuple[FigureId, float]]:
    """The fields of a row that are numbers."""
    for field_name, name in names.items():
        if (value := _number(row.get(field_name))) is not None:
            yield FigureId(group, subject, name), value


def _name(row: Record) -> str:
    return clean(str(row.get("plugin")))


def _number(value: JsonValue) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    return None
