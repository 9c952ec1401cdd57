"""YAML documents read with every scalar as it was written, and each value's place kept.

Beyla reads `open_port: 0x50` from the characters, not from the number YAML makes of them, so
nothing is converted before the reader of a key asks for it. Errors name the file, the line and
the path of the value in the document.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from engine.core.errors import UsageError
from engine.core.files import read_named
from engine.core.sanitise import clean

_LARGEST_FILE = 1 << 20
_DEEPEST_MERGE = 20
_LONGEST_INTEGER = 80
"""Characters: one of 64 bits in binary digits, with its sign, and some room. Python reads no more
than some thousand digits."""
_NULLS = ("", "~", "null", "Null", "NULL")
_TRUE = ("true", "True", "TRUE", "y", "Y", "yes", "Yes", "YES", "on", "On", "ON")
_FALSE = ("false", "False", "FALSE", "n", "N", "no", "No", "NO", "off", "Off", "OFF")
_INTEGER = re.compile(r"[-+]?(?:0b[01]+|0o[0-7]+|0x[0-9a-fA-F]+|[0-9]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_VARIABLE = re.compile(r"(\$)?\$\{(?:env:)?([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands: in a file, or in a variable or flag, whose name is then `source`."""

    source: str
    path: str = ""
    line: int = 0

    def error(self, message: str, fix: str = "") -> UsageError:
        """The error that something is wrong there."""
        return UsageError(f"{self}: {message}", fix=fix)

    def below(self, key: str, line: int) -> Place:
        """The place of a member."""
        joint = "." if self.path and not key.startswith("[") else ""
        return Place(self.source, f"{self.path}{joint}{clean(key, limit=80)}", line)

    def __str__(self) -> str:
        line = f":{self.line}" if self.line else ""
        return f"{clean(self.source)}{line}{': ' if self.path else ''}{self.path}"


class Entry:
    """One value of a document."""

    def __init__(self, node: yaml.Node, place: Place) -> None:
        self._node = node
        self.place = place

    @property
    def is_null(self) -> bool:
        """Whether it is `null`, `~`, or a key with nothing behind it."""
        return self._plain in _NULLS

    @property
    def is_sequence(self) -> bool:
        """Whether it is a list."""
        return isinstance(self._node, yaml.SequenceNode)

    @property
    def is_mapping(self) -> bool:
        """Whether it is a mapping."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def _plain(self) -> str | None:
        """The characters of a scalar without quotes; None for anything else."""
        node = self._node
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            return str(node.value)
        return None

    def members(self) -> dict[str, Entry]:
        """The members of a mapping, `<<` taken in; null is an empty one.

        Raises:
            UsageError: if it is no mapping, or a key stands twice.
        """
        return dict(self._members({}))

    def _members(
        self, known: dict[int, dict[str, Entry] | None], depth: int = 0
    ) -> dict[str, Entry]:
        """The members, with those of mappings already looked at; None while one is."""
        node = self._node
        if self.is_null:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise self.place.error("a mapping is wanted here", "write `key: value` lines below it")
        if id(node) in known:
            if (already := known[id(node)]) is None:
                raise self.place.error("it merges itself", "remove the << or the alias")
            return already
        if depth > _DEEPEST_MERGE:
            raise self.place.error(f"mappings are merged more than {_DEEPEST_MERGE} deep")
        known[id(node)] = None
        found: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key, value in node.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            entry = Entry(value, self.place.below(name, key.start_mark.line + 1))
            if name == "<<" and not isinstance(value, yaml.ScalarNode):
                for each in entry.items() if entry.is_sequence else (entry,):
                    merged = {**each._members(known, depth + 1), **merged}  # the earlier ones count
            elif name in found:
                raise entry.place.error("the key stands here a second time", "remove one of them")
            else:
                found[name] = entry
        known[id(node)] = merged | found
        return merged | found

    def items(self) -> list[Entry]:
        """The entries of a list; null is an empty one.

        Raises:
            UsageError: if it is no list.
        """
        if self.is_null:
            return []
        if not isinstance(self._node, yaml.SequenceNode):
            raise self.place.error("a list is wanted here", "write `- ` lines below it, or []")
        return [
            Entry(node, self.place.below(f"[{index}]", node.start_mark.line + 1))
            for index, node in enumerate(self._node.value)
        ]

    def text(self) -> str:
        """The characters of a scalar, unquoted; null is empty.

        Raises:
            UsageError: if it is a list or a mapping.
        """
        if not isinstance(self._node, yaml.ScalarNode):
            raise self.place.error("a single value is wanted here", "write it on the key's line")
        return "" if self.is_null else str(self._node.value)

    def boolean(self) -> bool:
        """Raises UsageError if it is neither true nor false; null is false."""
        plain = self._plain
        if plain in _TRUE:
            return True
        if plain in _FALSE or self.is_null:
            return False
        raise self.place.error("true or false is wanted here")

    def integer(self) -> int:
        """A number without quotes; a fraction is cut off, null is 0.

        Raises:
            UsageError: if it is none.
        """
        if self.is_null:
            return 0
        number = _number((self._plain or "").replace("_", ""))
        if number is not None and abs(number) < 2**63:
            return int(number)
        shown = "" if self._plain is None else f" {clean(self._plain, limit=40)!r} is none"
        raise self.place.error(f"a whole number is wanted here,{shown or ' without quotes'}")

    def seconds(self) -> float:
        """A duration as Go writes it, such as 500ms or 1m30s, in seconds.

        Raises:
            UsageError: if it has no unit or is malformed.
        """
        return parse_duration(self.text(), self.place)


def parse_duration(text: str, place: Place) -> float:
    """Seconds of a duration in Go's syntax; a unit is required, also behind 0.

    Raises:
        UsageError: if it is malformed, or negative.
    """
    bare, position, total = text.removeprefix("+"), 0, 0.0
    while found := _DURATION.match(bare, position):
        total += float(found[1]) * _SECONDS[found[2]]
        position = found.end()
    if not bare or position != len(bare):
        raise place.error(
            f"{clean(text, limit=40)!r} is no duration of 0 or more", "add a unit: 500ms, 5s, 1m30s"
        )
    return total


def expand_variables(text: str, environ: Mapping[str, str]) -> str:
    """Put the values of `${NAME}`, `${env:NAME}` and `${NAME:-default}` in.

    The default counts if the variable is unset or empty, `$${NAME}` gives `${NAME}`, and `$NAME`
    and any other form stay as they are.
    """

    def value(found: re.Match[str]) -> str:
        escaped, name, default = found.groups()
        return found[0][1:] if escaped else environ.get(name) or default or ""

    return _VARIABLE.sub(value, text)


def _number(text: str) -> float | None:
    """What a plain scalar is as a number of YAML; None if it is none."""
    if _INTEGER.fullmatch(text) and len(text) <= _LONGEST_INTEGER:
        bare = text.lstrip("+-")
        base = 8 if bare[0] == "0" and bare.isdigit() and bare.strip("01234567") == "" else 0
        try:
            return int(text, base) if base or bare[:1] == "0" else int(text)
        except ValueError:
            return int(text)
    return float(text) if _FLOAT.fullmatch(text) else None


def read_document(path: Path, environ: Mapping[str, str]) -> Entry | None:
    """Read a YAML file, environment variables put in; None if there is nothing in it.

    Raises:
        UsageError: if it cannot be read or is no YAML.
    """
    content = read_named(path, _LARGEST_FILE, fix="give the path of a YAML file")
    try:
        return parse_document(content.decode("utf-8"), str(path), environ)
    except UnicodeDecodeError as error:
        raise UsageError(f"{clean(str(path))} is not UTF-8", fix="save it as UTF-8") from error


def parse_document(text: str, source: str, environ: Mapping[str, str]) -> Entry | None:
    """Read YAML text; `source` is what errors call it.

    Raises:
        UsageError: if it is no YAML.
    """
    try:
        documents = yaml.compose_all(expand_variables(text, environ), yaml.SafeLoader)
        node = next(iter(documents), None)  # of several, Beyla reads the first
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        problem = clean(error.problem or "malformed", limit=200)
        raise Place(source, "", line).error(f"not valid YAML: {problem}", "mend it") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise Place(source).error(f"not valid YAML: {clean(str(error), limit=200)}") from error
    return None if node is None else Entry(node, Place(source))
