"""One immutable picture of the engine, taken by readers on their own timer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.progress import TaskFacts
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
class RecordingFacts:
    """What is being recorded."""

    path: str
    bytes: int
    """Of the file, its journal included."""
    records: int
    """Written so far."""


@dataclass(frozen=True, slots=True)
class ReplayFacts:
    """Where a replay is."""

    first_ns: int
    last_ns: int
    """Wall time of the first and the last record."""
    now_ns: int
    speed: float
    """Seconds of the recording that pass in one."""
    held: bool
    """Whether it stands still because somebody wanted it to."""

    @property
    def at_end(self) -> bool:
        """Whether there is nothing more to come."""
        return self.now_ns >= self.last_ns


@dataclass(frozen=True, slots=True)
class AttachFacts:
    """The engine of another process that is looked at."""

    pid: int
    """Of the engine."""
    read_only: bool
    """Whether it obeys this console in nothing."""
    lost: str = ""
    """Why it is not heard of at present; what it delivered until then is still there."""
    silent_s: float = 0.0
    """For how long it has said nothing, once that is longer than it ever does."""


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
    recording: RecordingFacts | None = None
    """What is being recorded, if anything is."""
    replay: ReplayFacts | None = None
    """Where the replay is, if it is one."""
    tasks: tuple[TaskFacts, ...] = ()
    """What the engine is busy with."""
    attached: AttachFacts | None = None
    """Whose engine it is, if it runs in another process."""
