"""Values of records whose shape is only known when one looks: maps, lists, and what is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.core.sanitise import clean

_DEEPEST = 8


def optional(record: Record, name: str) -> JsonValue:
    """The value of a field that not every recording has; None where it is not there."""
    return record.get(name) if name in KINDS[record.kind].index else None


def map_of(value: JsonValue) -> Mapping[str, JsonValue]:
    """The value if it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items_of(value: JsonValue) -> Sequence[JsonValue]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def texts_of(value: JsonValue) -> list[str]:
    """The items of a list as text fit to be shown."""
    return [clean(str(item)) for item in items_of(value)]


def whole(value: JsonValue) -> int | None:
    """The value if it is a whole number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def flat(value: JsonValue, path: str = "", depth: int = 0) -> Iterator[tuple[str, JsonValue]]:
    """Every value inside maps and lists with the path to it, such as `request.endpoint`."""
    if isinstance(value, Mapping) and depth < _DEEPEST:
        for name, inner in value.items():
            shown = clean(str(name), 128)
            yield from flat(inner, f"{path}.{shown}" if path else shown, depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str) and depth < _DEEPEST:
        for position, inner in enumerate(value):
            yield from flat(inner, f"{path}[{position}]", depth + 1)
    else:
        yield path, value


def bytes_of(hexadecimal: JsonValue) -> bytes:
    """The bytes of a value that is hex text; none if it is something else."""
    try:
        return bytes.fromhex(str(hexadecimal or ""))
    except ValueError:
        return b""
