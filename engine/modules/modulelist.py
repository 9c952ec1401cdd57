"""The Go run time's list of modules, and what it makes of the newest one.

Format: `plugin_lastmoduleinit` (runtime/plugin.go of Go 1.19 to 1.27). The run time never looks at
the file that was opened, only at the end of its list: a file that did not enter itself there is
judged as the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.modules.layouts import Layout, compare, link_hits_mark
from engine.modules.linkage import Linkage
from engine.modules.outcome import Difference

NO_MODULE = "fatal error: runtime: no plugin module data"
NIL_POINTER = "panic: runtime error: invalid memory address or nil pointer dereference"
LOADED = "plugin already loaded"
DIFFERENT = "plugin was built with a different version of package "
_EMPTY_PATH = "fatal error: runtime: plugin has empty pluginpath"
_MARK_LOST = (
    "its constructor writes over the mark by which a refused module is known, and whether the one "
    "before counts as refused hangs on an address"
)


class Judgement(NamedTuple):
    """What the run time says of the newest module."""

    outcome: Literal["fits", "refused", "fatal", "panic", "unknown"]
    text: str = ""
    or_texts: tuple[str, ...] = ()
    reason: str = ""
    differences: tuple[Difference, ...] = ()
    shared: int = 0
    overwritten: bool = False
    """Whether the run time's memory has been written over by then."""


@dataclass
class _Module:
    linkage: Linkage
    active: bool = False
    bad: bool = False


class ModuleList:
    """The modules of a process, and the packages that a new one is compared with.

    Args:
        layout: How the host describes itself.
        scope: Fingerprints of the host's packages.
    """

    def __init__(self, layout: Layout, scope: dict[str, bytes]) -> None:
        self._layout = layout
        self._scope = {package: (mark, "") for package, mark in scope.items()}
        self._modules: list[_Module] = []
        self._broken = False
        """Whether a plugin of another layout has written its link where something else is."""
        self._mark_lost: Linkage | None = None
        """The plugin that did so where it is marked whether the one before was refused."""

    def mapped(self, linkage: Linkage) -> None:
        """A file was mapped: its packages are in scope and its constructor has run."""
        for package, mark in linkage.fingerprints.items():
            self._scope.setdefault(package, (mark, str(linkage.path)))
        if not linkage.go_plugin or self._broken:
            return
        if compare(self._layout, linkage.build.layout) == "link elsewhere":
            self._broken = True
            if self._modules and link_hits_mark(self._layout, linkage.build.layout):
                self._mark_lost = linkage
        else:
            self._modules.append(_Module(linkage))

    def judge(self, opened: Linkage) -> Judgement:
        """What comes of it, now that `opened` is mapped."""
        return self._judge(opened)._replace(overwritten=self._broken)

    def _judge(self, opened: Linkage) -> Judgement:
        comparison = compare(self._layout, opened.build.layout) if opened.go_plugin else "same"
        if comparison == "unknown":
            return Judgement("unknown", reason=_unknown(self._layout, opened.build.layout))
        if self._mark_lost:
            versions = _versions(self._layout, self._mark_lost.build.layout)
            return Judgement("unknown", reason=f"{versions}; {_MARK_LOST}")
        newest = self._modules[-1] if self._modules else None
        if newest is None or newest.bad:
            return Judgement("fatal", NO_MODULE, reason=self._why_none(newest, opened))
        if newest.linkage is opened and comparison == "fields elsewhere":
            return Judgement(
                "panic", NIL_POINTER, reason=_versions(self._layout, opened.build.layout)
            )
        if newest.active:
            return self._not_entered(newest.linkage, opened)
        return self._compare(newest)

    def _compare(self, newest: _Module) -> Judgement:
        """A module that has just entered itself: is it a copy, and do its packages fit?"""
        linkage = newest.linkage
        if linkage.ordered and not linkage.plugin_path:
            return Judgement("fatal", _EMPTY_PATH)
        newest.bad = True
        for other in self._modules:
            if other.active and other.linkage.plugin_path == linkage.plugin_path:
                return Judgement("refused", LOADED, reason=_same_path(other.linkage, linkage))
        own = str(linkage.path)
        shared = sum(self._scope.get(each.path, (b"", own))[1] != own for each in linkage.packages)
        differing = tuple(self._differences(linkage))
        if differing:
            texts = [DIFFERENT + each.package for each in differing]
            or_texts = () if linkage.ordered else tuple(texts[1:])
            return Judgement("refused", texts[0], or_texts, "", differing, shared)
        newest.bad, newest.active = False, True
        return Judgement("fits", shared=shared)

    def _differences(self, linkage: Linkage) -> Iterator[Difference]:
        """In the order in which the run time compares; a module's own packages are there too."""
        for package, mark in linkage.packages:
            known, owner = self._scope.get(package, (mark, ""))
            if known != mark:
                yield Difference(package, known.hex(), mark.hex(), owner)

    def _not_entered(self, newest: Linkage, opened: Linkage) -> Judgement:
        if newest is opened:
            reason = "the same file is loaded under another name"
        elif not opened.go_plugin:
            reason = f"it is no Go plugin; the run time takes it for {newest.path}"
        elif compare(self._layout, opened.build.layout) == "link elsewhere":
            versions = _versions(self._layout, opened.build.layout)
            reason = f"{versions}; the run time takes it for {newest.path}"
        else:
            reason = "the list of modules was broken by an earlier plugin of another Go version"
        return Judgement("refused", LOADED, reason=reason)

    def _why_none(self, newest: _Module | None, opened: Linkage) -> str:
        if not opened.go_plugin:
            return "it is no Go plugin: plugin.Open finds no module in it"
        if compare(self._layout, opened.build.layout) == "link elsewhere":
            return _versions(self._layout, opened.build.layout)
        if newest is not None and newest.linkage is opened:
            return "the same file was refused under another name"
        return "the list of modules was broken by an earlier plugin of another Go version"


def _same_path(other: Linkage, linkage: Linkage) -> str:
    return f"{other.path} has the same plugin path {linkage.plugin_path}"


def _versions(host: Layout, plugin: Layout) -> str:
    def name(layout: Layout) -> str:
        return layout.go_version or f"an unknown Go version (module size {layout.size})"

    return f"the host is built with {name(host)}, the plugin with {name(plugin)}"


def _unknown(host: Layout, plugin: Layout) -> str:
    return f"{_versions(host, plugin)}: whether they describe modules in the same form is not known"
