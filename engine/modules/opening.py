"""A program that opens plugins one after the other, thought through without running anything.

Format: `plugin.Open` (plugin/plugin_dlopen.go of Go 1.19 to 1.27). What decides is not in the file
alone: a refused file stays mapped with its packages, a failure is remembered under the file's real
path, and a file whose opening has ended half-way is waited for for ever.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.core.errors import ModuleLoadError
from engine.modules.causes import explain, explain_layout, is_standard
from engine.modules.elf import ElfFile, open_regular
from engine.modules.host import Host, read_host
from engine.modules.layouts import compare
from engine.modules.linkage import Inode, Linkage, inode_of, read_linkage
from engine.modules.modulelist import NO_MODULE, Judgement, ModuleList
from engine.modules.outcome import NOTHING, Explanation, Verdict
from engine.modules.refusals import Fault, ident_fault, type_fault

INIT_PANICS = "panic: "
"""How the words of a panic begin; what follows, no file tells."""
_ALREADY_RUN = "its constructors have run nevertheless, and it stays mapped"
_INITIALISED = (
    f"{_ALREADY_RUN}; with the host's Go, its initialisers run as well if Open was called from an "
    f"init function"
)
_WITH_75102 = range(22, 26)
"""Minor versions of Go with https://github.com/golang/go/issues/75102."""
_NOTHING_SHARED = (
    "no package but of the standard library is shared: of the host's own types it knows none"
)
_MAY_DIVERGE = (
    "both are built with -trimpath: functions of shared packages may differ where compilers do "
    "not look, and each side calls its own"
)
_NOT_JUDGED = "what its initialisers do is not judged: they may panic, block or end the host"

_STATIC = (
    "the host is linked statically, so no plugin finds its run time to enter itself there: "
    "link it without -static"
)


def open_in_turn(
    host: Path, names: Sequence[str], init_panics: Iterable[Path] = ()
) -> tuple[Verdict, ...]:
    """What a program's `plugin.Open` would do with files, one after the other in one process.

    Args:
        host: The program.
        names: Files as they are given to `plugin.Open`; relative ones from here.
        init_panics: Plugins whose initialisation is taken to panic, which no file tells.

    Raises:
        ModuleLoadError: if the host cannot be read or is no program.
    """
    process = HostProcess(read_host(host), frozenset(init_panics))
    return tuple(process.open(name) for name in names)


@dataclass
class _Registered:
    """What `plugin.Open` remembers of a real path."""

    failure: str = ""
    half_open: str = ""
    """Why its opening never ended; empty if it did."""


class HostProcess:
    """The state of a host between two calls of `plugin.Open`.

    `open` tells what the next call does, and the state moves on as the process would. A panic
    that comes out of a call is taken to be recovered by the host.

    Args:
        host: The program.
        init_panics: Plugins whose initialisation is taken to panic, which no file tells.
    """

    def __init__(self, host: Host, init_panics: frozenset[Path] = frozenset()) -> None:
        self._host = host
        self._init_panics = frozenset(path.resolve() for path in init_panics)
        self._modules = ModuleList(host.build.layout, host.fingerprints)
        self._loader = host.loader.copy()
        self._registry: dict[Path, _Registered] = {}
        self._mapped: dict[Inode, Linkage] = {}
        self._locked = ""
        self._ended = ""

    def open(self, name: str) -> Verdict:
        """What `plugin.Open(name)` does now."""
        if self._ended:
            return Verdict(name, "not-reached", reason=self._ended)
        if self._host.refusal:
            return Verdict(name, "refused", self._host.refusal, reason=self._host.reason)
        if not self._host.opens_plugins:
            return Verdict(name, "host-cannot", reason=self._host.reason)
        verdict = self._open(name)
        if verdict.outcome == "unknown":
            self._ended = f"it cannot be told what came of {name}"
        elif verdict.outcome == "kills-host" and not verdict.recoverable:
            self._ended = f"the host has died of {name}"
        return verdict

    def _open(self, name: str) -> Verdict:
        if not name:
            return _refused(name, "realpath failed")
        try:
            os.stat(name)  # which refuses FILE/ where Python's realpath does not
            path = Path(os.path.realpath(name, strict=True))
            inode = inode_of(path)
        except (OSError, ValueError):
            return _refused(name, "realpath failed")
        if self._locked:
            return Verdict(name, "hangs", reason=self._locked)
        known = self._registry.get(path)
        if known is not None:
            return _again(name, known)
        linkage = self._mapped.get(inode) or self._map(name, path)
        if isinstance(linkage, Verdict):
            return linkage
        if self._host.is_static:
            return Verdict(name, "kills-host", NO_MODULE, reason=_STATIC)
        return self._opened(name, path, linkage, self._modules.judge(linkage))

    def _map(self, name: str, path: Path) -> Linkage | Verdict:
        fault = type_fault(path) or ident_fault(path, self._host.bits, self._host.machine)
        if fault:
            return self._not_mapped(name, fault)
        try:
            found = self._load(path)
        except ModuleLoadError as error:
            return Verdict(name, "unknown", reason=str(error))
        if isinstance(found, Fault):
            return self._not_mapped(name, found)
        self._mapped[found.inode] = found
        self._modules.mapped(found)
        return found

    def _load(self, path: Path) -> Linkage | Fault:
        descriptor = open_regular(path)
        try:
            elf = ElfFile(descriptor)
            if fault := self._loader.fault(elf, path):
                return fault
            linkage = read_linkage(elf, descriptor, path)
            self._loader.load(elf, path)
            return linkage
        finally:
            os.close(descriptor)

    def _not_mapped(self, name: str, fault: Fault) -> Verdict:
        if fault.outcome == "refused":
            return _refused(name, fault.text, fault.reason)
        if fault.outcome == "hangs":
            self._locked = f"package plugin is locked while {name} is being opened"
        return Verdict(name, fault.outcome, fault.text, reason=fault.reason)

    def _opened(self, name: str, path: Path, linkage: Linkage, found: Judgement) -> Verdict:
        match found.outcome:
            case "fits":
                return self._initialised(name, path, linkage, found)
            case "unknown":
                return Verdict(name, "unknown", reason=found.reason, overwritten=found.overwritten)
            case "fatal" | "panic":
                return self._killed(name, linkage, found)
        self._registry[path] = _Registered(failure=found.text)
        reason, explanation = self._explained(linkage, found)
        return Verdict(
            name,
            "refused",
            _late_error(name, found.text),
            tuple(_late_error(name, each) for each in found.or_texts),
            reason,
            found.differences,
            found.shared,
            explanation,
            (_INITIALISED if self._initialises_refused else _ALREADY_RUN,),
            found.overwritten,
        )

    def _killed(self, name: str, linkage: Linkage, found: Judgement) -> Verdict:
        recoverable = found.outcome == "panic"
        if recoverable:
            self._locked = f"opening {name} has panicked and left package plugin locked"
        fits = compare(self._host.build.layout, linkage.build.layout) == "same"
        explained = linkage.go_plugin and not fits
        return Verdict(
            name,
            "kills-host",
            found.text,
            reason=found.reason,
            explanation=explain_layout(self._host.build, linkage.build) if explained else NOTHING,
            overwritten=found.overwritten,
            recoverable=recoverable,
        )

    @property
    def _initialises_refused(self) -> bool:
        """Whether a host of this Go may run the initialisers of what it refuses (#75102)."""
        return self._host.build.layout.minor in _WITH_75102

    def _explained(self, linkage: Linkage, found: Judgement) -> tuple[str, Explanation]:
        """What is behind a refusal: the host's build, or an earlier file that is in the way."""
        if not found.differences:
            return found.reason, NOTHING
        owner = found.differences[0].owner
        differing = [each for each in found.differences if each.owner == owner]
        if not owner:
            return found.reason, explain(self._host.build, linkage.build, differing)
        earlier = next(each for each in self._mapped.values() if str(each.path) == owner)
        reason = (
            f"{owner}, opened before, brought another one into the process, which cannot leave: "
            f"open this one first, or each in a process of its own"
        )
        explanation = explain(earlier.build, linkage.build, differing)
        return reason, replace(explanation, hint="", fixes=())

    def _initialised(self, name: str, path: Path, linkage: Linkage, found: Judgement) -> Verdict:
        if path in self._init_panics:
            self._registry[path] = _Registered(half_open="its initialisation has panicked")
            reason = "its initialisation panics, unless whoever calls plugin.Open recovers"
            return Verdict(
                name,
                "kills-host",
                INIT_PANICS,
                reason=reason,
                shared=found.shared,
                recoverable=True,
            )
        if linkage.missing:
            self._registry[path] = _Registered(half_open="a symbol was missing the first time")
            texts = [_late_error(name, _no_symbol(path, linkage, each)) for each in linkage.missing]
            return Verdict(
                name,
                "refused",
                texts[0],
                tuple(texts[1:]),
                "its exports stand under another plugin path than it says of itself",
                shared=found.shared,
                notes=("its initialisers have run, and opening it again hangs for ever",),
            )
        self._registry[path] = _Registered()
        notes = (_NOT_JUDGED, *self._warnings(linkage))
        return Verdict(name, "opens", shared=found.shared, notes=notes)

    def _warnings(self, linkage: Linkage) -> Iterator[str]:
        """What an author should know of a plugin that opens."""
        releases = [each.toolchain.release for each in (self._host.build, linkage.build)]
        if releases[0] != releases[1] and all(releases):
            yield f"the host is built with {releases[0]}, the plugin with {releases[1]}"
        linked = {each.path for each in linkage.packages}
        shared = [each for each in linked & set(self._host.fingerprints) if not is_standard(each)]
        if not shared:
            yield _NOTHING_SHARED
        elif self._host.build.toolchain.trimmed and linkage.build.toolchain.trimmed:
            yield _MAY_DIVERGE


def _again(name: str, known: _Registered) -> Verdict:
    """A file that was opened before under this real path."""
    if known.failure:
        return _refused(name, f"{known.failure} (previous failure)")
    if known.half_open:
        reason = f"{known.half_open}: plugin.Open waits for that to end"
        return Verdict(name, "hangs", reason=reason)
    notes = (
        "it is open already: the same plugin is returned and nothing is initialised; it would "
        "hang for ever if its initialisation had panicked and the host recovered",
    )
    return Verdict(name, "opens", notes=notes)


def _refused(name: str, text: str, reason: str = "") -> Verdict:
    return Verdict(name, "refused", _error(name, text), reason=reason)


def _error(name: str, text: str) -> str:
    return f'plugin.Open("{name}"): {text}'


def _late_error(name: str, text: str) -> str:
    """An error behind dlopen, where the name has lost its ending."""
    return _error(name.removesuffix(".so") if len(name) > len(".so") else name, text)


def _no_symbol(path: Path, linkage: Linkage, export: str) -> str:
    symbol = f"{linkage.plugin_path}.{export}"
    return f"could not find symbol {export}: {path}: undefined symbol: {symbol}"
