"""A raw event as the programs write it, taken apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from engine.core.fields import JsonValue
from engine.probe.abi import SECTION, SectionKind

Attributes: TypeAlias = dict[str, JsonValue]


class Section(NamedTuple):
    """Memory captured beside the registers."""

    kind: int
    argument: int
    """Which argument it belongs to, or which of several."""
    data: bytes


class Raw(NamedTuple):
    """What a decoder makes attributes of."""

    args: tuple[int, ...]
    """Six argument registers, or what the program put there."""
    result: int
    flags: int
    sections: tuple[Section, ...]
    wall_ns: int = 0
    """When it happened, in ns since the epoch."""

    def section(self, kind: SectionKind, argument: int | None = None) -> bytes:
        """The first section of that kind (and argument); empty if there is none."""
        for section in self.sections:
            if section.kind == kind and argument in (None, section.argument):
                return section.data
        return b""

    def first_text(self, argument: int | None = None) -> bytes | None:
        """The first string (of that argument) without its NUL; None if it was not captured."""
        for section in self.sections:
            if section.kind == SectionKind.TEXT and argument in (None, section.argument):
                return section.data.partition(b"\0")[0]
        return None


Decoder: TypeAlias = Callable[[Raw], Attributes]


def sections_of(payload: bytes) -> tuple[Section, ...]:
    """The sections that follow an event.

    Raises:
        ValueError: if one is longer than what is there.
        struct.error: if there is a part of a head.
    """
    found = []
    at = 0
    while at < len(payload):
        kind, argument, length = SECTION.unpack_from(payload, at)
        at += SECTION.size
        if at + length > len(payload):
            raise ValueError(length)
        found.append(Section(kind, argument, payload[at : at + length]))
        at += length + 3 & ~3
    return tuple(found)
