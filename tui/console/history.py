"""What every plugin sent over the last minutes, as the console saw it."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from engine.core.records import Record
from engine.core.snapshot import Snapshot

KEPT = 300
"""Samples kept for each plugin; at one snapshot a second that is five minutes."""
_SAMPLE_NS = 500_000_000
"""Snapshots closer together than this add no sample."""


class Bars(NamedTuple):
    """Samples merged until they fit a width."""

    values: tuple[float, ...]
    """The mean of the samples in each bar, oldest first."""
    per_bar: int
    """Samples in a bar."""


@dataclass(slots=True)
class Series:
    """The last samples of one quantity, and how many there have ever been."""

    samples: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))
    taken: int = 0

    def add(self, value: object) -> None:
        """Take one more in; what is not known counts as nothing."""
        self.samples.append(float(value) if isinstance(value, (int, float)) else 0.0)
        self.taken += 1

    @property
    def now(self) -> float:
        """The newest sample."""
        return self.samples[-1] if self.samples else 0.0

    @property
    def mean(self) -> float:
        """The mean of the samples kept."""
        return sum(self.samples) / len(self.samples) if self.samples else 0.0

    @property
    def peak(self) -> float:
        """The largest sample kept."""
        return max(self.samples, default=0.0)

    def bars(self, width: int) -> Bars:
        """The samples in at most `width` bars; those of a bar stay together as time goes on."""
        samples = tuple(self.samples)
        per_bar = max(1, -(-len(samples) // max(1, width)))
        first = self.taken - len(samples)
        values: list[float] = []
        begin = 0
        while begin < len(samples):
            end = min(len(samples), begin + per_bar - (first + begin) % per_bar)
            values.append(sum(samples[begin:end]) / (end - begin))
            begin = end
        return Bars(tuple(values[-width:]), per_bar)


@dataclass(slots=True)
class Throughput:
    """What one plugin sent."""

    records: Series = field(default_factory=Series)
    """Per second."""
    speed: Series = field(default_factory=Series)
    """Bytes per second."""


class ThroughputHistory:
    """The throughput of all plugins on the list; fed with every snapshot."""

    def __init__(self) -> None:
        self._plugins: dict[Hashable, Throughput] = {}
        self._sampled_ns = 0

    def remember(self, snapshot: Snapshot) -> None:
        """Take a sample of every plugin, and forget those that have gone."""
        if snapshot.wall_ns - self._sampled_ns < _SAMPLE_NS:
            return
        self._sampled_ns = snapshot.wall_ns
        rows = snapshot.tables.get("plugin_state", ())
        self._plugins = {row.key(): self._plugins.get(row.key(), Throughput()) for row in rows}
        for row in rows:
            throughput = self._plugins[row.key()]
            throughput.records.add(row.get("tx_rate"))
            throughput.speed.add(row.get("tx_speed"))

    def of(self, row: Record) -> Throughput:
        """What a plugin sent; nothing as long as it was not seen."""
        return self._plugins.get(row.key(), Throughput())

    def last_rates(self, row: Record, count: int) -> Sequence[float]:
        """The newest `count` record rates of a plugin, oldest first."""
        return tuple(self.of(row).records.samples)[-count:]
