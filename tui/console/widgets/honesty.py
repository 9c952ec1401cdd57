"""The honesty line: what every source saw, kept and lost, and what boxscope itself costs.

It is never hidden. Each source has a slot of fixed width, so numbers do not dance; how much
a slot tells depends on its width. States are told by a symbol and a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual.content import Content
from textual.widget import Widget

from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.core.source import SourceState, SourceStatus
from tui.console.format import count, duration, share, size

LEGEND = "seen/kept/dropped lag ↓"
"""Stands in the header, above the line, where there is room."""
STATE_MARKS: dict[SourceState, str] = {
    "off": "",
    "starting": "…S ",
    "running": "",
    "degraded": "!D ",
    "failed": "✗F ",
}
"""What stands before the name of a source, by its state."""

_LEAST_SLOT = 13
_SHORT_NAME = 5


class Slot(NamedTuple):
    """One entry of the line: its text and a style in Textual's words."""

    text: str
    style: str = ""


def source_forms(status: SourceStatus) -> list[str]:
    """A source from the longest form to the shortest."""
    name, mark = clean(status.name), STATE_MARKS[status.state]
    if status.state == "off":
        return [f"{name} off", f"{name[:_SHORT_NAME]} off"]
    counters = status.counters
    if not counters.seen and status.state in ("failed", "starting"):
        return [f"{mark}{name} {status.state}", f"{mark}{name}", f"{mark}{name[:_SHORT_NAME]}"]
    seen, kept, dropped = map(count, (counters.seen, counters.kept, counters.dropped_total))
    numbers = f"{seen}/{kept}/{dropped}" + ("!" if counters.dropped_total else "")
    lag = duration(counters.lag_ms * 1e6)
    return [
        f"{mark}{name} {numbers} {lag}",
        f"{mark}{name} {numbers}",
        f"{mark}{name[:_SHORT_NAME]} {numbers}",
        f"{mark}{name[:_SHORT_NAME]} {seen}▾{dropped}",
        f"{mark}{name[:_SHORT_NAME]}",
    ]


def _style(status: SourceStatus) -> str:
    if status.state == "failed":
        return "bold $text-error"
    if status.state == "degraded" or status.counters.dropped_total:
        return "bold $text-warning"
    return "dim" if status.state in ("off", "starting") else ""


def slots(snapshot: Snapshot, slot_width: int) -> list[Slot]:
    """All entries, each in the longest form that fits; boxscope's own cost comes first."""
    own = [
        f"self {share(snapshot.own_cpu)} {size(snapshot.own_rss)}",
        f"self {share(snapshot.own_cpu)}",
    ]
    entries = [Slot(_longest(own, slot_width))]
    entries += [
        Slot(_longest(source_forms(status), slot_width), _style(status))
        for status in snapshot.sources.values()
    ]
    return entries


def _longest(forms: Sequence[str], width: int) -> str:
    return next((form for form in forms if len(form) <= width), forms[-1][:width])


def arrange(snapshot: Snapshot, width: int, lines: int) -> list[list[Slot]]:
    """The entries in lines of equal slots; troubled sources come first when room is short."""
    entries = 1 + len(snapshot.sources)
    per_line = max(1, min(-(-entries // lines), width // _LEAST_SLOT))
    slot_width = max(1, width // per_line - 1)
    shown = slots(snapshot, slot_width)
    if len(shown) > per_line * lines:
        shown.sort(key=lambda slot: not slot.style.startswith("bold"))
        shown = shown[: per_line * lines]
    padded = [Slot(slot.text.ljust(slot_width), slot.style) for slot in shown]
    return [padded[begin : begin + per_line] for begin in range(0, len(padded), per_line)]


class HonestyLine(Widget):
    """Seen, kept, dropped and lag of every source; always in view."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self.tooltip = Content(
            "For each source: items seen / kept / dropped, and the age of the newest one. "
            "seen = kept + dropped. ✗F failed, !D degraded, …S starting; ! marks losses."
        )

    def show(self, snapshot: Snapshot) -> None:
        """Take over a new snapshot."""
        self._snapshot = snapshot
        self.refresh()

    def render(self) -> Content:
        """The line, or the two lines, as they fit now."""
        if self._snapshot is None or not self.size:
            return Content("")
        lines = arrange(self._snapshot, self.size.width, self.size.height)
        return Content("\n").join(
            Content(" ").join(Content.styled(slot.text, slot.style) for slot in line)
            for line in lines
        )
