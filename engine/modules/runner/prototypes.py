"""C prototypes as somebody types them: `char *HealthCheck(void)`, `int Add(int, int)`."""

from __future__ import annotations

import re

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.modules.runner.protocol import Signature

_PROTOTYPE = re.compile(r"\s*(?:extern\s+)?([\w\s*]+?)\s*\b(\w+)\s*\(([^()]*)\)\s*;?\s*")
_TYPE_WORDS = frozenset(
    # What can stand last in a type, so that it is not the parameter's name.
    ["char", "short", "int", "long", "unsigned", "signed", "float", "double", "void", "bool"]
) | {"_Bool", "const", "struct"}


def parse_prototype(text: str) -> tuple[str, Signature]:
    """A function's name and types.

    Raises:
        UsageError: it is no prototype.
    """
    found = _PROTOTYPE.fullmatch(text)
    if found is None:
        raise UsageError(f"not a C prototype: {clean(text, 80)!r}", fix='as in "int Add(int, int)"')
    parameters = [_without_name(each) for each in found[3].split(",") if each.strip()]
    return found[2], Signature(_tidy(found[1]), tuple([] if parameters == ["void"] else parameters))


def _without_name(text: str) -> str:
    """A parameter's type alone."""
    found = re.fullmatch(r"(.*[\s*])(\w+)", text.strip())
    if found and found[2] not in _TYPE_WORDS and found[1].strip() not in ("const", "struct"):
        return _tidy(found[1])
    return _tidy(text)


def _tidy(text: str) -> str:
    return re.sub(r"\s*\*", " *", " ".join(text.split())).strip()
