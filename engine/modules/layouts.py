"""Whether a Go program and a plugin describe themselves to the run time in the same form.

A plugin hooks its `runtime.moduledata` into the list of the program that opens it, at the place
where its own Go version has the link; the program looks where its version has it. The form changes
with some minor versions, and its size is in both files (cmd/link, runtime/symtab.go).
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

_FORMS = {19: "a", 20: "b", 21: "c", 22: "c", 23: "d", 24: "d", 25: "d", 26: "e", 27: "f"}
"""Form by minor version of Go 1."""
_SIZES = {"a": 552, "b": 568, "c": 592, "d": 584, "e": 592, "f": 568}
"""Bytes of a form on 64-bit processors."""

_MARK_BEFORE_LINK = ("a", "b", "c")
_WORD = 8

Comparison = Literal["same", "link elsewhere", "fields elsewhere", "unknown"]


class Layout(NamedTuple):
    """What is known of a file's module description."""

    size: int | None
    """Bytes; None if the file does not tell."""
    go_version: str
    """Such as `go1.26.6`; empty if the file does not tell."""

    @property
    def minor(self) -> int | None:
        """The 26 of `go1.26.6`."""
        found = re.search(r"\bgo1\.(\d+)", self.go_version)
        return int(found[1]) if found else None


def compare(host: Layout, plugin: Layout) -> Comparison:
    """How the plugin's form stands to the host's.

    `link elsewhere`: the host does not find the plugin in its list. `fields elsewhere`: it finds
    it, and takes one field for another.
    """
    if host.size is None or plugin.size is None:
        return "unknown"
    if host.size != plugin.size:
        return "link elsewhere"
    if host.minor is not None and host.minor == plugin.minor:
        return "same"
    forms = _form(host), _form(plugin)
    if "" in forms:
        return "unknown"
    return "same" if forms[0] == forms[1] else "fields elsewhere"


def link_hits_mark(host: Layout, plugin: Layout) -> bool:
    """Whether the plugin's link lands on the mark by which the host knows a refused module.

    Up to Go 1.22 that mark stands right before the link.
    """
    if host.size is None or plugin.size is None or _form(host) not in _MARK_BEFORE_LINK:
        return False
    return plugin.size == host.size - _WORD


def _form(layout: Layout) -> str:
    """The form by version, or by size where only one has that size; empty if unknown."""
    if layout.minor is not None:
        return _FORMS.get(layout.minor, "")
    fitting = [form for form, size in _SIZES.items() if size == layout.size]
    return fitting[0] if len(fitting) == 1 else ""
