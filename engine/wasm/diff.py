"""What differs between two values, as an explicit list of before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeGuard

from engine.core.fields import JsonValue

_MAX_CHANGES = 100


class Change(NamedTuple):
    """One value that is not what it was."""

    field: str
    """Path to it, such as `infos[0].request.endpoint`."""
    before: JsonValue
    after: JsonValue

    def as_json(self) -> dict[str, JsonValue]:
        """The change as a map; None stands for "not there"."""
        return {"field": self.field, "before": self.before, "after": self.after}


def changes(before: JsonValue, after: JsonValue, path: str = "") -> list[Change]:
    """Every value that differs, at most 100; maps and lists are looked into."""
    found: list[Change] = []
    _compare(before, after, path, found)
    return found[:_MAX_CHANGES]


def _compare(before: JsonValue, after: JsonValue, path: str, found: list[Change]) -> None:
    if before == after:
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in [*before, *(name for name in after if name not in before)]:
            inner = f"{path}.{name}" if path else name
            _compare(before.get(name), after.get(name), inner, found)
    elif _is_list(before) and _is_list(after):
        for at in range(max(len(before), len(after))):
            old = before[at] if at < len(before) else None
            new = after[at] if at < len(after) else None
            _compare(old, new, f"{path}[{at}]", found)
    else:
        found.append(Change(path, before, after))


def _is_list(value: JsonValue) -> TypeGuard[Sequence[JsonValue]]:
    return isinstance(value, Sequence) and not isinstance(value, str)
