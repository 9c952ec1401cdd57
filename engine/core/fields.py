"""What a record kind is made of: fields declared once, read by everything else.

Columns, JSON, recordings, the detail view and the filter language all come from these
declarations; see `engine.core.kinds` for the kinds themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

FieldType = Literal["int", "float", "text", "bool", "list", "map"]
Align = Literal["left", "right"]

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
"""What a field may hold; text in it is already sanitised."""


@dataclass(frozen=True)
class Field:
    """One named value of a record kind."""

    name: str
    type: FieldType
    help: str
    unit: str = ""
    """Unit of a number: `ns`, `ms`, `us`, `B`, `B/s`, `/s`, `s`, `cores`; empty for a plain one."""
    width: int = 12
    """Preferred column width in cells."""
    priority: int = 5
    """1 = shown even at 80 columns, 9 = first to go when the screen is narrow."""
    hidden: bool = False
    """Not a column unless asked for."""
    untrusted: bool = False
    """Holds text that came from outside the engine (sanitised when stored)."""

    @property
    def align(self) -> Align:
        """Numbers stand right, everything else left."""
        return "right" if self.type in ("int", "float") else "left"


COMMON = (
    Field("kind", "text", "What sort of record this is.", width=14, hidden=True),
    Field("seq", "int", "Sequence number within its kind, from 1.", width=9, hidden=True),
    Field("ts", "text", "Wall time, RFC 3339 with nanoseconds, UTC.", width=12, priority=1),
    Field("pid", "int", "Process id (thread group id), in the initial namespace.", width=7),
    Field("comm", "text", "Name of the thread or process.", width=15, untrusted=True, priority=1),
)
"""Fields that every record has, in this order, before its own (`pid` and `comm` may be absent)."""


@dataclass(frozen=True)
class RecordKind:
    """A kind of record: its name, what it tells, and its own fields in order."""

    name: str
    help: str
    fields: tuple[Field, ...]

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each own field in a record's `values`."""
        return {field.name: position for position, field in enumerate(self.fields)}

    @cached_property
    def names(self) -> frozenset[str]:
        """Names of its fields, common and own."""
        return frozenset(field.name for field in self.all_fields())

    def all_fields(self) -> Iterator[Field]:
        """The common fields, then the kind's own."""
        yield from COMMON
        yield from self.fields

    def field(self, name: str) -> Field:
        """The field of that name, common or own.

        Raises:
            KeyError: if the kind has none.
        """
        for candidate in self.all_fields():
            if candidate.name == name:
                return candidate
        raise KeyError(name)
