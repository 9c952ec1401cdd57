"""The cells of the subscription matrix: a switch, several seen as one, where they are listed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from engine.core.records import Record
from engine.core.sanitise import clean

CellKey: TypeAlias = tuple[str, str]
"""Event and category."""

_HOOKS = {"syscall_enter": ">", "syscall_exit": "<"}
"""How the stream marks them, too; `-` for every other hook."""
_CATEGORIES = (
    "file",
    "net",
    "ipc",
    "other",
    "process",
    "signal",
    "memory",
    "wait",
    "sleep",
    "time",
    "scheduler",
    "user",
    "system",
)
"""The columns, those of most use first."""
_FAMILIES = ("io", "file", "net", "tcp", "process", "signal", "ipc", "memory", "wait")
"""The families, those of most use first; others follow as they come."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One switch as the engine reports it."""

    event: str
    category: str
    on: bool
    rate: float
    total: int
    unavailable: str

    @property
    def key(self) -> CellKey:
        """What identifies the cell."""
        return (self.event, self.category)

    @staticmethod
    def of(record: Record) -> Cell:
        """The cell a `subscription` record describes."""
        per_second, total = record.get("rate"), record.get("total")
        return Cell(
            event=str(record.get("event") or ""),
            category=str(record.get("category") or ""),
            on=bool(record.get("on")),
            rate=float(per_second) if isinstance(per_second, (int, float)) else 0.0,
            total=total if isinstance(total, int) else 0,
            unavailable=str(record.get("unavailable") or ""),
        )


class Line(NamedTuple):
    """A line of the matrix: everything, a family, or an event."""

    kind: Literal["all", "family", "event"]
    name: str


EVERYTHING = Line("all", "")


class Sum(NamedTuple):
    """Several switches seen as one."""

    switches: int
    """Those that can be turned."""
    on: int
    rate: float
    total: int
    reason: str
    """Why none can be turned; empty if one can."""


def short_name(event: str) -> str:
    """A subscription name with its hook as a mark: `< openat` for the exit of a call."""
    hook, _, point = event.partition("-")
    return f"{_HOOKS.get(hook, '-')} {clean(point)}" if point else clean(event)


def family_of(event: str, categories: Sequence[str]) -> str:
    """What an event is listed under: its one category, `io` if a descriptor decides, or `tcp`."""
    hook, _, point = event.partition("-")
    if point.startswith("tcp_") and not hook.startswith("syscall_"):
        return "tcp"
    return categories[0] if len(categories) == 1 else "io"


def family_rank(family: str) -> int:
    """Where a family is listed."""
    return _FAMILIES.index(family) if family in _FAMILIES else len(_FAMILIES)


def category_rank(category: str) -> int:
    """Which column a category is."""
    return _CATEGORIES.index(category) if category in _CATEGORIES else len(_CATEGORIES)
