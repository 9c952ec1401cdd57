"""Interfaces as people write them, made comparable with what a Go binary says of its types.

Format: the Go specification's grammar of types, and the text of reflect's `Type.String`: no names
of parameters, `any` is `interface {}`, `byte` is `uint8`, `rune` is `int32`. Named types are
`package.Name` without the package's path, so that equal texts are necessary and no proof.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.modules.gotypes import Method

_TOKEN = re.compile(r"\s*(?:(\.\.\.|<-|[^\W\d]\w*|\d+|[()\[\]{},;.*~|])|$)")
_ALIASES = {"any": "interface {}", "byte": "uint8", "rune": "int32"}
_KEYWORDS = frozenset(("chan", "func", "interface", "map", "struct", "type"))
_DEEPEST, _LONGEST, _MOST_METHODS = 40, 20_000, 200
_FIX = 'write methods as in Go, such as --interface "HealthCheck() error; Close()"'


class Interface(NamedTuple):
    """What an object must have."""

    methods: tuple[Method, ...]
    """In the order of their names."""

    def __str__(self) -> str:
        return _interface_text(self.methods)


def parse_interface(*texts: str) -> Interface:
    """The interface that texts describe together.

    Args:
        texts: Methods, separated by semicolons or lines, or `interface { ... }` around them.

    Raises:
        UsageError: if one is not a Go interface, naming the column.
    """
    found: dict[str, Method] = {}
    for text in texts:
        for method in _Parser(text).interface():
            known = found.setdefault(method.name, method)
            if known.type != method.type:
                raise UsageError(
                    f"the interface has {method.name} twice: {known.type} and {method.type}"
                )
    if not found:
        raise UsageError("the interface has no method", fix=_FIX)
    return Interface(tuple(sorted(found.values())))


def parameter_count(method: Method) -> int | None:
    """How many arguments a method takes; None where it takes any number."""
    parser = _Parser(method.type)
    parser.expect("func")
    types = parser.parameters()
    return None if types and types[-1].startswith("...") else len(types)


class _Parser:
    """Reads one text from left to right; every method returns what reflect would print."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise UsageError(f"the interface has {len(text)} characters", fix=_FIX)
        self._text = text
        self._tokens: list[tuple[str, int]] = []
        self._at = 0
        self._depth = 0
        for number, line in enumerate(text.splitlines()):
            if number:
                self._tokens.append((";", -1))
            self._split(line)

    def interface(self) -> list[Method]:
        """Methods, with or without `type Name` and `interface { }` around them."""
        if self._take("type"):
            self._name()
        wrapped = self._take("interface")
        if wrapped:
            self.expect("{")
        methods = self._methods()
        if wrapped:
            self.expect("}")
            while self._take(";"):
                pass
        if self._at < len(self._tokens):
            raise self._error()
        return methods

    def expect(self, token: str) -> None:
        """Go past a token that has to be there."""
        if not self._take(token):
            raise self._error(token)

    def parameters(self) -> list[str]:
        """Types between parentheses, without names."""
        self.expect("(")
        entries: list[tuple[str, str]] = []
        while not self._take(")"):
            entries.append(self._parameter())
            if self._next() != ")":
                self.expect(",")
        if not any(name for name, _ in entries):
            return [type_ for _, type_ in entries]
        types: list[str] = []
        for name, type_ in reversed(entries):  # in "a, b int" the type follows the last name
            if not name and not types:
                raise self._error("a type")
            types.append(type_ if name else types[-1])
        return types[::-1]

    def _methods(self) -> list[Method]:
        found: list[Method] = []
        while self._next() not in ("", "}"):
            if self._take(";"):
                continue
            if len(found) >= _MOST_METHODS:
                raise UsageError(f"the interface has more than {_MOST_METHODS} methods")
            found.append(Method(self._name(), f"func{self._signature()}"))
            if self._next() not in ("", "}", ";"):
                raise self._error("; or the end")
        return found

    def _signature(self) -> str:
        taken = ", ".join(self.parameters())
        if self._next() == "(":
            results = self.parameters()
        elif self._next() in ("", ";", ",", ")", "}", "]", "{"):
            results = []
        else:
            results = [self._type()]
        if len(results) == 1:
            return f"({taken}) {results[0]}"
        return f"({taken}) ({', '.join(results)})" if results else f"({taken})"

    def _parameter(self) -> tuple[str, str]:
        """Name and type; a lone word is a type until its neighbours tell that it is a name."""
        start, first = self._at, self._next()
        try:
            type_ = self._variadic()
            if self._next() in (",", ")"):
                return "", type_
        except UsageError:
            if not _is_name(first):
                raise
        self._at = start
        name = self._name()
        return name, self._variadic()

    def _variadic(self) -> str:
        return f"...{self._type()}" if self._take("...") else self._type()

    def _type(self) -> str:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError(f"the interface's types are nested more than {_DEEPEST} deep")
        try:
            return self._any_type()
        finally:
            self._depth -= 1

    def _any_type(self) -> str:
        match self._next():
            case "*":
                self._at += 1
                return f"*{self._type()}"
            case "[":
                return self._array()
            case "(":
                return self._grouped()
            case "<-":
                self._at += 1
                self.expect("chan")
                return f"<-chan {self._type()}"
            case "chan":
                self._at += 1
                return self._channel()
            case "map":
                return self._map()
            case "func":
                self._at += 1
                return f"func{self._signature()}"
            case "interface":
                return self._interface()
            case "struct":
                self._at += 1
                return self._struct()
        return self._named()

    def _grouped(self) -> str:
        self.expect("(")
        inner = self._type()
        self.expect(")")
        return inner

    def _map(self) -> str:
        self.expect("map")
        self.expect("[")
        key = self._type()
        self.expect("]")
        return f"map[{key}]{self._type()}"

    def _interface(self) -> str:
        self.expect("interface")
        self.expect("{")
        methods = self._methods()
        self.expect("}")
        return _interface_text(tuple(sorted(methods)))

    def _array(self) -> str:
        self.expect("[")
        length = self._next()
        if length.isdigit():
            self._at += 1
        else:
            length = ""
        self.expect("]")
        return f"[{length}]{self._type()}"

    def _channel(self) -> str:
        arrow = "<-" if self._take("<-") else ""
        element = self._type()
        return f"chan{arrow} ({element})" if element.startswith("<-") else f"chan{arrow} {element}"

    def _struct(self) -> str:
        self.expect("{")
        fields = []
        while not self._take("}"):
            if self._take(";"):
                continue
            fields.append(f"{self._name()} {self._type()}")
        return f"struct {{ {'; '.join(fields)} }}" if fields else "struct {}"

    def _named(self) -> str:
        name = self._name()
        if self._take("."):
            name = f"{name}.{self._name()}"
        if self._next() == "[":
            self._at += 1
            arguments = [self._type()]
            while self._take(","):
                arguments.append(self._type())
            self.expect("]")
            name = f"{name}[{','.join(arguments)}]"
        return _ALIASES.get(name, name)

    def _name(self) -> str:
        token = self._next()
        if not _is_name(token):
            raise self._error("a name")
        self._at += 1
        return token

    def _split(self, line: str) -> None:
        at = 0
        while at < len(line.rstrip()):
            match = _TOKEN.match(line, at)
            if match is None or match[1] is None:
                shown = clean(line, 200)
                raise UsageError(
                    f"the interface {shown!r} cannot be read at column {at + 1}", fix=_FIX
                )
            self._tokens.append((match[1], match.start(1)))
            at = match.end()

    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    def _take(self, token: str) -> bool:
        if self._next() != token:
            return False
        self._at += 1
        return True

    def _error(self, wanted: str = "") -> UsageError:
        shown = clean(self._text, 200)
        if self._at < len(self._tokens):
            token, column = self._tokens[self._at]
            found = f"has {token!r} at column {column + 1}" if column >= 0 else "ends a line"
        else:
            found = "ends"
        needed = f" where {wanted} is needed" if wanted else ", which is no part of one"
        return UsageError(f"the interface {shown!r} {found}{needed}", fix=_FIX)


def _is_name(token: str) -> bool:
    return token.isidentifier() and token not in _KEYWORDS


def _interface_text(methods: tuple[Method, ...]) -> str:
    if not methods:
        return "interface {}"
    shown = "; ".join(f"{each.name}{each.type.removeprefix('func')}" for each in methods)
    return f"interface {{ {shown} }}"
