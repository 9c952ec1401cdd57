"""What a subscribable event is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.probe.calls import Category

Direction = Literal["enter", "exit", "-"]

ROWS = 1024
"""Rows of the matrix; Kindling's type ids are below 344."""
COLUMNS = 16


class Helper(NamedTuple):
    """A program an event can do without."""

    program: str
    lost: str
    """What is lost where the kernel refuses it or lacks its tracepoint."""


@dataclass(frozen=True, slots=True, eq=False)
class Event:
    """One subscribable event; there is one object of each, so equal means identical."""

    name: str
    """Subscription name, `<hook>-<point>`."""
    emitted: str
    direction: Direction
    type_id: int
    """Kindling's id; several events may share one."""
    columns: tuple[Category, ...]
    """The categories it can have."""
    programs: tuple[str, ...]
    """Programs that must be attached for it."""
    help: str
    attributes: tuple[str, ...]
    needs: tuple[str, ...] = ()
    """Features of the layout without which no such event can be told."""
    helpers: tuple[Helper, ...] = ()
    """Programs that are attached for it as well, where they can be."""
    own_row: int = 0
    """Row of the matrix where it is not `type_id`, because others have that too."""
    accepts: tuple[Category, ...] = ()
    """Categories a subscription may also name, meaning `columns`: those Kindling itself gives
    the event where it never gives the right one."""
    ext: bool = False
    """Not one of Kindling's events."""
    absent: str = ""
    """Why no kernel of this machine's kind has it; empty for everything that exists."""

    @property
    def row(self) -> int:
        """Its row in the matrix."""
        return self.own_row or self.type_id

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories it can have, as users write them."""
        return tuple(column.label for column in self.columns)
