"""What a system call's attributes are made of, and what must be captured for them.

An attribute is written `key:type/notation@source`. The type is Kindling's; the notation, where
there is one, says how people write the value (see `notation.py`). The source is a letter and,
for most, the register of the argument (0 to 5):

    a0      the argument itself                   r       what the call returned
    s0 S0   the string it points to               d1      as many bytes as the call returned
    i2+8    a structure, from byte 8              c1      the same as text, whole
    o2+8    the same, filled in by the call       v1      those bytes, in vectors (count next)
    w2+8    the same, overwritten by the call     m1 M1   those bytes, in one or many messages
    l0.1    an array, its count in register 1     n1 N1   the address in a message
    L1.r    the same, as the call left it         k1.2    a socket address and its length
    f1.2+6  a field of an array                   K1.2    the same, as the call left it (the
    b3.4    bytes and their length                        length behind a pointer)
    B3.4    the same, length behind a pointer
    t u     both ends of the socket in argument   T       both ends of the socket the call
            0: sending, receiving                         returned
    e0      the program's name                    g1 h1   its first and its other arguments
    p0      the argument itself, unless the call has replaced the program that made it
    x       a fact about the process (the key says which)
    #       the number of the call
    -       Kindling has it; nothing here can tell it truthfully

In capitals: filled in by the call, so it is there only on exit and only if the call succeeded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import NamedTuple

SNAPLEN = 64
"""Bytes of what a call read or wrote that are kept unless told otherwise."""
SNAPLEN_MAX = 2048
STEPS = 4
"""Captures of one call in one direction at most."""

_GIVEN = frozenset("aslfbkineghp#")
"""Sources that are known when the call is entered."""
_PATTERN = re.compile(
    r"(?P<ours>\+?)(?P<key>\w+):(?P<type>\w+)(?:/(?P<notation>\w+))?"
    r"@(?P<source>[a-zA-Z#-])(?P<argument>\d)?(?:\.(?P<count>\w))?(?:\+(?P<offset>\d+))?"
)
_SIZES = {
    "i16": 2, "u16": 2, "f16": 2, "u64": 8, "i64": 8, "rel": 16, "reltv": 16, "sigset": 8,
}  # fmt: skip
_ITEMS = {"epoll": 12, "pollin": 8, "pollout": 8}
_SEMBUF = 6
_MOST_ITEMS = 16
_MOST_OPTION = 64
_MOST_SOCKADDR = 128
_MOST_TEXT = 4095
_MOST_MESSAGES = 4


class Capture(IntEnum):
    """What a program reads beside the registers."""

    NONE = 0
    TEXT = 1
    """A string."""
    SOCKADDR = 2
    DATA = 3
    """Bytes that went in or out."""
    STRUCT = 4
    """A structure or an array of them."""
    VECTOR = 5
    """Bytes that went in or out, in vectors."""
    MESSAGE = 6
    """The same, of a struct msghdr."""
    MESSAGES = 7
    """The same, of one of several; `item` says which."""
    NAME = 8
    """The address in a struct msghdr."""
    TUPLE = 9
    """Both addresses of the socket in the argument."""
    PEER = 10
    """Both addresses of the socket the call returned."""
    EXEC = 11
    """The file name of an execve: from the argument if it failed, from the new stack if not."""
    ARGV = 12
    """Its arguments, likewise."""
    FACTS = 13
    """What the kernel knows of the process."""


class Count(IntEnum):
    """Where the number of items is, beyond a register's number."""

    RESULT = 6
    ONE = 7
    AT = 8
    """Plus a register: behind the pointer in it."""


class StepFlag(IntFlag):
    """When a capture is made."""

    SUCCESS = 1
    """Only if the call succeeded."""


class Step(NamedTuple):
    """One capture, as the programs read it; the order is that of `struct step`."""

    what: Capture
    argument: int = 0
    counter: int = 0
    flags: int = 0
    item: int = 0
    most: int = 0


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute of a call."""

    key: str
    type: str
    """Kindling's."""
    notation: str
    source: str
    argument: int
    count: str
    """Where its length is: a register, or `r` for the result."""
    offset: int
    ours: bool
    """Kindling has no such attribute."""

    @property
    def told(self) -> bool:
        """Whether it is known here at all."""
        return self.source != "-"

    @property
    def given(self) -> bool:
        """Whether it is known when the call is entered."""
        return self.source in _GIVEN

    @property
    def size(self) -> int:
        """Bytes of it within a structure."""
        return _SIZES.get(self.notation) or _SIZES.get(self.type) or 4


def parse(text: str) -> tuple[Attribute, ...]:
    """The attributes of one direction.

    Raises:
        ValueError: if it is not written as above.
    """
    return tuple(map(_parse_one, text.split()))


def _parse_one(text: str) -> Attribute:
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise ValueError(f"not an attribute: {text!r}")
    return Attribute(
        found["key"],
        found["type"],
        found["notation"] or "",
        found["source"],
        int(found["argument"] or 0),
        found["count"] or "",
        int(found["offset"] or 0),
        bool(found["ours"]),
    )


def completed(own: tuple[Attribute, ...], other: tuple[Attribute, ...]) -> tuple[Attribute, ...]:
    """One direction's attributes, with what the call was given as the other direction tells it.

    Kindling tells a path on exit only and a size on enter only; people want to see both.
    """
    keys = {attribute.key for attribute in own if attribute.told}
    lent = (each for each in other if each.given and each.key not in keys)
    return own + tuple(
        Attribute(
            each.key, each.type, each.notation, each.source, each.argument, each.count,
            each.offset, ours=True,
        )
        for each in lent
    )  # fmt: skip


def steps(attributes: Iterable[Attribute], snaplen: int) -> tuple[Step, ...]:
    """The captures these attributes need.

    Args:
        attributes: Of one direction.
        snaplen: Bytes of payload to keep; with 0, there is no `data`.

    Raises:
        ValueError: if they are more than the programs make.
    """
    made: dict[tuple[int, ...], Step] = {}
    for attribute in attributes:
        for step in _steps_of(attribute, snaplen):
            same = (step.what, step.argument, step.item if step.what is Capture.MESSAGES else 0)
            before = made.get(same)
            made[same] = step if before is None or step.item > before.item else before
    if len(made) > STEPS:
        raise ValueError(f"{len(made)} captures are too many")
    return tuple(made.values())


def _steps_of(attribute: Attribute, snaplen: int) -> Iterator[Step]:
    source, argument = attribute.source, attribute.argument
    success = StepFlag.SUCCESS if source.isupper() or source == "o" else 0
    if source in "sS":
        yield Step(Capture.TEXT, argument, flags=success)
    elif source in "dvmM":
        if snaplen:
            yield from _payload_steps(source, argument, snaplen)
    elif source == "c":
        yield Step(Capture.DATA, argument, Count.RESULT, item=1, most=_MOST_TEXT)
    elif source in "nN":
        yield Step(Capture.NAME, argument, flags=success, most=_MOST_SOCKADDR)
    elif source in "kK":
        count = _count(attribute)
        yield Step(Capture.SOCKADDR, argument, count, success, 1, _MOST_SOCKADDR)
    elif source in "iow":
        size = attribute.offset + attribute.size
        yield Step(Capture.STRUCT, argument, Count.ONE, success, size, size)
    elif source in "lL":
        item = _ITEMS[attribute.notation]
        yield Step(Capture.STRUCT, argument, _count(attribute), success, item, _MOST_ITEMS * item)
    elif source == "f":
        count = _count(attribute)
        yield Step(Capture.STRUCT, argument, count, success, _SEMBUF, 2 * _SEMBUF)
    elif source in "bB":
        yield Step(Capture.STRUCT, argument, _count(attribute), success, 1, _MOST_OPTION)
    elif source in _PLAIN_STEPS:
        yield Step(_PLAIN_STEPS[source], argument, flags=success)


_PLAIN_STEPS = {
    "t": Capture.TUPLE,
    "u": Capture.TUPLE,
    "T": Capture.PEER,
    "e": Capture.EXEC,
    "g": Capture.ARGV,
    "h": Capture.ARGV,
    "x": Capture.FACTS,
}


def _payload_steps(source: str, argument: int, snaplen: int) -> Iterator[Step]:
    if source == "d":
        yield Step(Capture.DATA, argument, Count.RESULT, item=1, most=snaplen)
    elif source == "v":
        yield Step(Capture.VECTOR, argument, argument + 1, most=snaplen)
    elif source == "m":
        yield Step(Capture.MESSAGE, argument, most=snaplen)
    else:
        for which in range(_MOST_MESSAGES):
            yield Step(Capture.MESSAGES, argument, item=which, most=snaplen)


def _count(attribute: Attribute) -> int:
    """`Step.count` of an attribute that has a length."""
    if attribute.count == "r":
        return Count.RESULT
    register = int(attribute.count)
    return Count.AT + register if attribute.source in "KB" else register
