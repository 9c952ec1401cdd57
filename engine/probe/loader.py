"""Get the programs into the kernel: out of the cache, or compiled by a child that has BCC."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import bpf
from engine.core.errors import RAISE_THE_LIMIT, TOO_MANY_FILES, ProbeError, RequirementError
from engine.core.folders import cache_folder
from engine.core.sanitise import clean
from engine.probe import bytecode, compile_child
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.bytecode import LoadedPrograms
from engine.probe.program_cache import ProgramCache, key_of
from engine.probe.wakeups import wakeup_definitions

HEADERS = Path(bpf.__file__).parent
SOURCES = tuple(
    HEADERS / f"{name}.c"
    for name in (
        "common",
        "sockets",
        "files",
        "descriptors",
        "captures",
        "calls",
        "tasks",
        "owners",
        "ends",
        "tcp",
        "drops",
        "signals",
        "faults",
        "packets",
        "sched",
        "follow",
        "payload",
        "payload_calls",
        "wakeups",
    )
)
"""The C text, in the order the compiler is to read it."""

PROGRAMS = (*TRACEPOINT_OF, "own_tgid")

_REQUIRED = ("own_tgid",)
"""Programs without which nothing can be delivered."""
_INSTALL = "apt-get install -y python3 python3-bpfcc"
_DEADLINE_S = 120.0
"""Compiling takes seconds on an idle box, and many times as long where others want the CPUs."""


class Loader:
    """One compilation, if it takes one; `cancel` from another thread ends it early.

    Args:
        defines: Definitions for the compiler.
        sources: The C text.
        cache: Where compiled programs are kept between runs; the user's if left out.
        rings: Size of each ring in bytes, a power of two of pages; one page if left out.
    """

    def __init__(
        self,
        defines: Mapping[str, int],
        sources: Sequence[Path] = SOURCES,
        cache: ProgramCache | None = None,
        *,
        rings: Mapping[str, int] | None = None,
    ) -> None:
        self._request = compile_child.Request(
            sources=[str(source) for source in sources],
            headers=str(HEADERS),
            cflags=compiler_flags({**defines, **wakeup_definitions()}),
            programs=list(PROGRAMS),
        )
        self._rings = rings
        self._cache = cache or ProgramCache(cache_folder())
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self) -> LoadedPrograms:
        """Load the programs; what the cache has not is compiled first, and then kept.

        A program the kernel refuses is named in `refused`; the others are loaded all the same.

        Raises:
            RequirementError: if BCC, the system's Python or the right to load is missing.
            ProbeError: if it does not compile, or the kernel refuses every program.
        """
        key = self._key()
        programs, text = self._kept(key), b""
        if programs is None:
            text = self._compile()
            programs = _parsed(text)
        loaded = bytecode.load(programs, self._rings)
        absent = dict.fromkeys(set(PROGRAMS) - programs.programs.keys(), "the C text has none")
        loaded.refused = {**loaded.refused, **absent}
        try:
            _check_complete(loaded)
            self._check_wanted()
        except BaseException:
            loaded.close()
            raise
        if text:
            self._cache.put(key, text)
        return loaded

    def _kept(self, key: str) -> bytecode.Bytecode | None:
        """What the cache has."""
        text = self._cache.get(key)
        with suppress(ValueError):
            return bytecode.parse(text) if text is not None else None
        return None

    def _key(self) -> str:
        """Names everything that the compiled programs depend on."""
        files = [*map(Path, self._request["sources"]), *sorted(HEADERS.rglob("*.h"))]
        package = compile_child.find_bcc()
        found = package and (package / "libbcc.py").stat()
        return key_of(
            (
                json.dumps(self._request).encode(),
                " ".join(platform.uname()).encode(),
                f"{package} {found and (found.st_mtime_ns, found.st_size)}".encode(),
                Path(compile_child.__file__).read_bytes(),
                *(path.read_bytes() for path in files),
            )
        )

    def _compile(self) -> bytes:
        """The compiled programs in their text form.

        Raises:
            RequirementError: if BCC, the system's Python or the right to load is missing.
            ProbeError: if it does not compile.
        """
        answer = os.memfd_create("programs")
        try:
            with self._spawn(answer) as child:
                printed = self._finish(child)
            text = os.pread(answer, os.fstat(answer).st_size, 0)
        finally:
            os.close(answer)
        return _checked(text, printed)

    def cancel(self) -> None:
        """End the child, if there is one, and let `run` fail."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                self._child.kill()

    def _spawn(self, answer: int) -> subprocess.Popen[bytes]:
        """Start the child.

        Its working directory is the stub tree: BCC searches the working directory first for
        headers, so it must be one that nobody else can write to.
        """
        command = [compile_child.SYSTEM_PYTHON, "-I", compile_child.__file__, str(answer)]
        with self._lock:
            self._check_wanted()
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=HEADERS,
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                    pass_fds=(answer,),
                    start_new_session=True,
                )
            except OSError as refused:
                raise RequirementError(
                    f"cannot run {compile_child.SYSTEM_PYTHON}: {refused.strerror}",
                    fix=RAISE_THE_LIMIT if refused.errno in TOO_MANY_FILES else _INSTALL,
                ) from refused
            return self._child

    def _finish(self, child: subprocess.Popen[bytes]) -> bytes:
        """Send the request and wait for the child's end; returns what it printed."""
        try:
            printed, _ = child.communicate(json.dumps(self._request).encode(), _DEADLINE_S)
        except subprocess.TimeoutExpired as late:
            child.kill()
            raise ProbeError(f"compiling took longer than {_DEADLINE_S:.0f} s") from late
        self._check_wanted()
        return printed

    def _check_wanted(self) -> None:
        if self._cancelled:
            raise ProbeError("compilation was cancelled", fix="start boxscope again")


def compiler_flags(defines: Mapping[str, int]) -> list[str]:
    """Flags for the stub headers and the given definitions."""
    release = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", platform.release())
    major, minor, patch = (int(part or 0) for part in release.groups()) if release else (5, 8, 0)
    return [
        f"-DSTUB_VERSION_CODE={(major << 16) + (minor << 8) + min(patch, 255)}",
        f"-DSTUB_PAGE_SIZE={os.sysconf('SC_PAGESIZE')}UL",
        "-Werror=macro-redefined",  # the parts of the text share one name space
        *(f"-D{name}={value}" for name, value in defines.items()),
    ]


def _checked(text: bytes, printed: bytes) -> bytes:
    """The child's answer, if it is one.

    Raises:
        RequirementError: if BCC or a right is missing.
        ProbeError: for any other failure.
    """
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise ProbeError(f"the compiler ended without an answer: {_last_line(printed)}")
    if "error" in answer:
        raise _failure(str(answer["error"]), printed)
    return text


def _parsed(text: bytes) -> bytecode.Bytecode:
    try:
        return bytecode.parse(text)
    except ValueError as wrong:
        raise ProbeError(f"the compiler's answer is of no use: {clean(str(wrong))}") from wrong


def _check_complete(loaded: LoadedPrograms) -> None:
    """Refuse a probe that could deliver nothing.

    Raises:
        RequirementError: if the right to load is missing.
        ProbeError: if the kernel refused everything, or what everything needs.
    """
    needed = [name for name in _REQUIRED if name in loaded.refused]
    if needed or (loaded.refused and not loaded.programs):
        name = (needed or list(loaded.refused))[0]
        raise _failure(loaded.refused[name], name.encode())


def _failure(reason: str, printed: bytes) -> RequirementError | ProbeError:
    """One clear reason out of what BCC raised and what it printed."""
    if any(os.strerror(number) in f"{reason} {printed!r}" for number in TOO_MANY_FILES):
        return ProbeError(f"{clean(reason, 300)}: {_last_line(printed)}", fix=RAISE_THE_LIMIT)
    if "BCC is not installed" in reason or "libbcc" in reason:
        return RequirementError(
            f"BCC is missing: {clean(reason, 200)}", fix="apt-get install -y python3-bpfcc"
        )
    if b"Operation not permitted" in printed or "super-user" in reason:
        return RequirementError(
            "the kernel refused the programs: operation not permitted",
            fix="run as root, or with CAP_BPF and CAP_PERFMON",
        )
    return ProbeError(f"{clean(reason, 300)}: {_last_line(printed)}")


def _last_line(printed: bytes) -> str:
    """The compiler's first error, or else the last thing it said."""
    lines: Sequence[bytes] = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if b"error:" in line]
    return clean((errors[:1] or list(lines[-1:]) or [b"it printed nothing"])[0], 300)
