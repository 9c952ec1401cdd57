"""All that is known of a module's file without executing anything of it.

Each part is read by itself: what contradicts itself is named in `faults`, the rest is still told.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import stat
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.clock import rfc3339
from engine.core.errors import MalformedModule, ModuleLoadError
from engine.core.sanitise import clean
from engine.modules.cexports import CExport, c_exports
from engine.modules.elf import ElfFile, open_regular
from engine.modules.filekind import MODULES, Identified, Kind, identify, identify_bytes
from engine.modules.gofacts import GoFacts, Parts, plugin_facts, program_facts
from engine.modules.initialisers import CLEAN_CONSTRUCTORS, constructors
from engine.modules.python_source import PythonFacts, read_python

_REACHING = frozenset(
    ("accept", "bind", "connect", "dlopen", "dlsym", "execl", "execle", "execlp", "execv", "execve",
     "execvp", "fork", "kill", "listen", "mprotect", "popen", "posix_spawn", "posix_spawnp",
     "prctl", "ptrace", "sendto", "setgid", "setuid", "socket", "syscall", "system", "unlink",
     "vfork")
)  # fmt: skip
"""Functions of libc that lead out of the process."""
_OF_EVERY_GO = frozenset(("setgid", "setuid"))
"""Those that Go's own C part calls."""
_LARGEST_PYTHON = 8 << 20
_MOST_BYTES_HASHED = 2 << 30
_PIECE = 1 << 20
_GLIBC = re.compile(r"GLIBC_(\d+(?:\.\d+)+)")
_BOX = {"aarch64": "arm64", "x86_64": "x86-64", "i686": "x86"}


@dataclass(frozen=True)
class ElfFacts:
    """What the loader sees."""

    machine: str
    bits: int
    needed: tuple[str, ...]
    """Libraries it needs."""
    glibc_floor: str
    """Oldest glibc it runs with, such as `2.34`; empty if it needs none."""
    constructors: int
    """Functions that run before anything is checked."""
    imports: tuple[str, ...]
    """Functions of other libraries that lead out of the process."""


@dataclass
class Inspection:
    """All that is known of one file; text in it is sanitised."""

    path: Path
    size: int
    kind: Kind = Kind.UNKNOWN
    reason: str = ""
    """What tells the kind, or why it cannot be told."""
    sha256: str = ""
    owner: int = 0
    """User id."""
    mode: int = 0
    """Permission bits."""
    modified: str = ""
    """Time of its last change, RFC 3339; empty if no calendar has it."""
    elf: ElfFacts | None = None
    go: GoFacts | None = None
    c: tuple[CExport, ...] = ()
    python: PythonFacts | None = None
    unusual: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    """Why it cannot be loaded on this box, whatever the host."""
    faults: list[str] = field(default_factory=list)
    """Parts that could not be read, each with its reason."""

    @property
    def loadable(self) -> bool:
        """Whether it is a module that something on this box could load; never that it is safe."""
        return self.kind in MODULES and not self.obstacles


def inspect(path: Path) -> Inspection:
    """Look at a file; nothing of it is executed or mapped.

    Raises:
        ModuleLoadError: if it cannot be read or is no regular file.
    """
    descriptor = open_regular(path)
    try:
        status = os.fstat(descriptor)
        found = Inspection(
            path,
            status.st_size,
            sha256=_sha256(descriptor, status.st_size),
            owner=status.st_uid,
            mode=stat.S_IMODE(status.st_mode),
            modified=_moment(status.st_mtime_ns),
        )
        found.unusual += _of_rights(path, status)
        beginning = os.pread(descriptor, 64, 0)
        if beginning.startswith(b"\x7fELF"):
            _inspect_elf(found, descriptor)
        else:
            found.kind, found.reason = identify_bytes(beginning, path.suffix)
            if found.kind == Kind.PYTHON_MODULE:
                _inspect_python(found, descriptor)
    except OSError as error:
        shown = clean(str(path), 400)
        raise ModuleLoadError(f"cannot read {shown}: {error.strerror}") from None
    finally:
        os.close(descriptor)
    return found


def _inspect_elf(found: Inspection, descriptor: int) -> None:
    try:
        elf = ElfFile(descriptor)
        found.kind, found.reason = identify(elf)
    except MalformedModule as error:
        found.kind, found.reason = Identified(Kind.UNKNOWN, clean(error.message, 400))
        return
    part = Parts(found.faults)
    found.elf = _elf_facts(elf, part)
    found.unusual += part("unusual facts", lambda: _of_segments(elf)) or []
    if found.kind != Kind.TRUNCATED:
        found.obstacles += _obstacles(found.elf)
    if found.kind == Kind.GO_PLUGIN:
        found.go = plugin_facts(elf, descriptor, part)
        found.obstacles += [
            f"could not find symbol {each.name}: it is listed as an export and is not there"
            for each in found.go.exports
            if not each.present
        ]
    elif found.kind in (Kind.GO_C_SHARED, Kind.GO_HOST, Kind.GO_PROGRAM):
        found.go = program_facts(elf, descriptor, part)
    if found.kind in (Kind.GO_C_SHARED, Kind.SHARED_OBJECT, Kind.PYTHON_EXTENSION):
        go = found.kind == Kind.GO_C_SHARED
        found.c = part("exports", lambda: c_exports(elf, descriptor, found.path, go=go)) or ()


def _elf_facts(elf: ElfFile, part: Parts) -> ElfFacts:
    needed = part("needed libraries", lambda: elf.tag_texts("DT_NEEDED")) or ()
    versions = part("symbol versions", lambda: elf.version_needs) or {}
    symbols = part("imports", lambda: elf.symbols)
    imported = {each.name for each in symbols.entries if not each.defined} if symbols else set()
    if any(each.owner == "Go" for each in part("notes", lambda: elf.notes) or ()):
        imported -= _OF_EVERY_GO
    return ElfFacts(
        elf.machine,
        elf.bits,
        tuple(clean(name, 400) for name in needed),
        _glibc_floor(versions),
        part("constructors", lambda: constructors(elf)) or 0,
        tuple(sorted(imported & _REACHING)),
    )


def _inspect_python(found: Inspection, descriptor: int) -> None:
    try:
        source = os.pread(descriptor, min(found.size, _LARGEST_PYTHON + 1), 0)
        found.python = read_python(source)
    except MalformedModule as error:
        found.obstacles.append(error.message)


def _glibc_floor(versions: dict[str, tuple[str, ...]]) -> str:
    matches = (_GLIBC.fullmatch(name) for names in versions.values() for name in names)
    return max((match[1] for match in matches if match), key=_number, default="")


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part[:9]) for part in version.split("."))


def _obstacles(elf: ElfFacts) -> list[str]:
    found = []
    box = _BOX.get(platform.machine(), platform.machine())
    if elf.machine != box:
        found.append(f"it is built for {clean(elf.machine, 40)}, this box is {box}")
    libc, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    if libc == "glibc" and elf.glibc_floor and _number(elf.glibc_floor) > _number(version):
        found.append(
            f"version `GLIBC_{elf.glibc_floor}' not found: this box has glibc {version}; build it "
            f"on an older one"
        )
    return found


def _of_segments(elf: ElfFile) -> list[str]:
    found = []
    if elf.sections_fault:
        found.append(f"its section headers are not usable: {clean(elf.sections_fault, 200)}")
    elif not elf.sections:
        found.append("it has no section headers; the loader does not need them")
    if any(each.flags & 3 == 3 for each in elf.loads):
        found.append("a part of it is mapped both writable and executable")
    if any(each.type == "PT_GNU_STACK" and each.flags & 1 for each in elf.segments):
        found.append("it asks for an executable stack")
    found += [
        f"it looks for libraries in {clean(text, 400)} ({tag})"
        for tag in ("DT_RPATH", "DT_RUNPATH")
        for text in elf.tag_texts(tag)
    ]
    count = constructors(elf)
    if count > CLEAN_CONSTRUCTORS and elf.symbols.named("runtime.firstmoduledata"):
        found.append(f"{count - CLEAN_CONSTRUCTORS} C constructors more than Go's own")
    return found


def _moment(wall_ns: int) -> str:
    try:
        return rfc3339(wall_ns)
    except (ValueError, OverflowError, OSError):  # anybody may set any number
        return ""


def _of_rights(path: Path, status: os.stat_result) -> list[str]:
    found = []
    if status.st_mode & stat.S_IWOTH:
        found.append("everybody may write to it")
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        found.append("it has the set-user-id or set-group-id bit")
    if status.st_uid not in (0, os.geteuid()):
        found.append(f"it belongs to user {status.st_uid}")
    try:
        above = path.resolve().parent.stat()
    except (OSError, RuntimeError):
        return found
    if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
        found.append("everybody may replace it: its directory is writable by all")
    return found


def _sha256(descriptor: int, size: int) -> str:
    """Digest of the file; empty for one too large to be read for that."""
    if size > _MOST_BYTES_HASHED:
        return ""
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(descriptor, min(_PIECE, size - at), at):
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()
