"""One immutable picture of the engine, taken by readers on their own timer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.records import Record
from engine.core.source import SourceStatus


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The box, as the header shows it."""

    hostname: str
    kernel: str
    rights: str
    """`root`, or the effective user with the capabilities that matter."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that is a state; streams are pulled with `Engine.since`."""

    wall_ns: int
    elapsed_s: float
    """Time since the engine started."""
    host: HostFacts
    sources: Mapping[str, SourceStatus]
    tables: Mapping[str, tuple[Record, ...]]
    """Rows by record kind: plugin_state, process, subscription, wasm_plugin."""
    own_cpu: float
    """Share of one core this process used since the previous snapshot."""
    own_rss: int
    """Resident memory of this process in bytes."""
    source_label: str = "live"
    """`live`, or the recording that is replayed."""
