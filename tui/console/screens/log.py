"""What the engine tells about itself: its log, its counters, and how its sources are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from engine.core.fields import JsonValue
from engine.core.kinds import LOG, PROBE_STATE, STATS, TRAFFIC_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import count, value_text
from tui.console.keys import STREAM_KEYS
from tui.console.screens.parts import Part
from tui.console.screens.streaming import StreamingScreen
from tui.console.widgets.columns import Column, Tone, record_columns
from tui.console.widgets.stream import StreamView

_TONES: Mapping[object, Tone] = {"error": "bad", "warning": "warn"}
_TIME = {"ts": "time"}


def _dim(_record: Record) -> Tone:
    return "dim"


def counters_text(record: Record) -> str:
    """Of each source, as `stats` tells them, what it saw, kept and lost, and its lag."""
    sources = record.get("sources")
    told = sources.items() if isinstance(sources, Mapping) else ()
    return "  ".join(f"{clean(name)} {' '.join(_of_source(source))}" for name, source in told)


def _of_source(source: JsonValue) -> Iterator[str]:
    if not isinstance(source, Mapping):
        return
    dropped = source.get("dropped")
    losses = dropped.values() if isinstance(dropped, Mapping) else ()
    lost = [loss for loss in losses if isinstance(loss, int)]
    figures = (source.get("seen"), source.get("kept"), sum(lost))
    yield "/".join(count(figure) if isinstance(figure, int) else "?" for figure in figures)
    if (lag := source.get("lag_ms")) is not None:
        yield value_text(lag, "ms")


def log_stream() -> StreamView:
    """What the parts of the engine had to say."""
    columns = record_columns(
        LOG,
        ["ts", "source", "level", "text"],
        titles=_TIME,
        widths={"text": 16},
        tones={"ts": _dim, "level": lambda record: _TONES.get(record.get("level"), "")},
        flex="text",
        ample=200,
    )
    return StreamView(LOG.name, columns, empty="nothing has been said yet", widget_id="log")


def stats_stream() -> StreamView:
    """The counters of every source, once a second."""
    declared = record_columns(STATS, ["ts", "elapsed_s"], titles={**_TIME, "elapsed_s": "up"})
    told = Column[Record](
        "sources", "seen/kept/dropped lag", 40, counters_text, priority=1, flex=True, ample=400
    )
    return StreamView(STATS.name, (*declared, told), empty="none yet", widget_id="stats")


def probe_stream() -> StreamView:
    """What the kernel probe delivers, loses and costs, whenever that has changed."""
    columns = record_columns(
        PROBE_STATE,
        [
            *("ts", "produced", "read", "dropped", "ring_fill", "ring_peak", "oldest_ms"),
            *("reader_cpu", "programs_cpu", "incomplete", "suppressed"),
        ],
        titles={**_TIME, "ring_fill": "ring%", "ring_peak": "peak%", "reader_cpu": "cpu",
                "programs_cpu": "prog"},
        tones={"ts": _dim},
        flex="dropped",
    )  # fmt: skip
    return StreamView(PROBE_STATE.name, columns, empty="no probe runs", widget_id="probe-states")


def traffic_stream() -> StreamView:
    """What was made of the traffic, whenever that has changed."""
    columns = record_columns(
        TRAFFIC_STATE,
        [
            *("ts", "flows", "messages", "answered", "unanswered", "unmatched", "single"),
            *("missing_bytes", "gap_bytes", "protocols"),
        ],
        titles={**_TIME, "unanswered": "unansw", "unmatched": "unmatch", "missing_bytes": "missing",
                "gap_bytes": "gap"},
        widths={"protocols": 12},
        priorities={"messages": 1, "protocols": 2, "flows": 3},
        tones={"ts": _dim},
        flex="protocols",
    )  # fmt: skip
    empty = "no traffic is read"
    return StreamView(TRAFFIC_STATE.name, columns, empty=empty, widget_id="traffic-states")


class LogScreen(StreamingScreen):
    """Lists of the kinds that no pane shows, as they come."""

    BINDINGS: ClassVar[list[BindingType]] = [*STREAM_KEYS]

    def __init__(self) -> None:
        self.log_lines = log_stream()
        streams = (self.log_lines, stats_stream(), probe_stream(), traffic_stream())
        titles = ("Log", "Counters", "Probe", "Traffic")
        parts = [
            Part(title, stream, part_id=f"{stream.id}-part")
            for title, stream in zip(titles, streams, strict=True)
        ]
        super().__init__(parts, streams)

    def show(self, snapshot: Snapshot) -> None:
        """Tell whose log it is, and which sources are not well."""
        troubled = [name for name, status in snapshot.sources.items()
                    if status.state in ("failed", "degraded")]  # fmt: skip
        told = f"   not well: {', '.join(map(clean, troubled))}" if troubled else ""
        self.say(
            Content.assemble(
                (" The engine about itself", "bold"),
                f"  {clean(snapshot.host.hostname)}",
                (told, "$text-warning"),
            )
        )
