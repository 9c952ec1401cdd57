"""Get the programs into the kernel through a short-lived child that has BCC."""

from __future__ import annotations

import json
import os
import platform
import re
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import bpf
from engine.core.errors import ProbeError, RequirementError
from engine.core.sanitise import clean
from engine.probe import compile_child
from engine.probe.attachments import TRACEPOINT_OF

HEADERS = Path(bpf.__file__).parent
SOURCES = tuple(
    HEADERS / f"{name}.c" for name in ("common", "sockets", "files", "calls", "tasks", "tcp")
)
"""The C text, in the order the compiler is to read it."""

MAPS = ("ring", "matrix", "calls", "config", "pids", "stats", "delivered")
PROGRAMS = (*TRACEPOINT_OF, "own_tgid")

_DEADLINE_S = 30.0
_MANIFEST_SIZE = 65536
_MSG_CMSG_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0x40000000)


class LoadedPrograms:
    """The descriptors of maps and programs; the kernel frees them when the last is closed."""

    def __init__(self, maps: Mapping[str, int], programs: Mapping[str, int]) -> None:
        self.maps = dict(maps)
        self.programs = dict(programs)

    def close(self) -> None:
        """Close everything. May be called twice."""
        for descriptors in (self.programs, self.maps):
            while descriptors:
                os.close(descriptors.popitem()[1])


class Loader:
    """One compilation; `cancel` from another thread ends it early.

    Args:
        defines: Definitions for the compiler.
        sources: The C text.
    """

    def __init__(self, defines: Mapping[str, int], sources: Sequence[Path] = SOURCES) -> None:
        self._request = compile_child.Request(
            sources=[str(source) for source in sources],
            headers=str(HEADERS),
            cflags=compiler_flags(defines),
            maps=list(MAPS),
            programs=list(PROGRAMS),
        )
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._cancelled = False

    def run(self) -> LoadedPrograms:
        """Compile, load, and take the descriptors over.

        Raises:
            RequirementError: if BCC or the system's Python is missing.
            ProbeError: if it does not compile or the kernel refuses it.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with ours:
            with theirs:
                child = self._spawn(theirs.fileno())
            with child:
                printed = self._finish(child)
            return _take_over(ours, printed)

    def cancel(self) -> None:
        """End the child, if there is one, and let `run` fail."""
        with self._lock:
            self._cancelled = True
            if self._child is not None:
                self._child.kill()

    def _spawn(self, channel: int) -> subprocess.Popen[bytes]:
        """Start the child.

        Its working directory is the stub tree: BCC searches the working directory first for
        headers, so it must be one that nobody else can write to.
        """
        command = [compile_child.SYSTEM_PYTHON, "-I", compile_child.__file__, str(channel)]
        with self._lock:
            if self._cancelled:
                raise ProbeError("compilation was cancelled")
            try:
                self._child = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    cwd=HEADERS,
                    env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
                    pass_fds=(channel,),
                    start_new_session=True,
                )
            except OSError as refused:
                raise RequirementError(
                    f"cannot run {compile_child.SYSTEM_PYTHON}: {refused.strerror}",
                    fix="apt-get install -y python3 python3-bpfcc",
                ) from refused
            return self._child

    def _finish(self, child: subprocess.Popen[bytes]) -> bytes:
        """Send the request and wait for the child's end; returns what it printed."""
        try:
            printed, _ = child.communicate(json.dumps(self._request).encode(), _DEADLINE_S)
        except subprocess.TimeoutExpired as late:
            child.kill()
            raise ProbeError(f"compiling took longer than {_DEADLINE_S:.0f} s") from late
        if self._cancelled:
            raise ProbeError("compilation was cancelled")
        return printed


def compiler_flags(defines: Mapping[str, int]) -> list[str]:
    """Flags for the stub headers and the given definitions."""
    release = re.match(r"(\d+)\.(\d+)(?:\.(\d+))?", platform.release())
    major, minor, patch = (int(part or 0) for part in release.groups()) if release else (5, 8, 0)
    return [
        f"-DSTUB_VERSION_CODE={(major << 16) + (minor << 8) + min(patch, 255)}",
        f"-DSTUB_PAGE_SIZE={os.sysconf('SC_PAGESIZE')}UL",
        *(f"-D{name}={value}" for name, value in defines.items()),
    ]


def _take_over(channel: socket.socket, printed: bytes) -> LoadedPrograms:
    """Receive the child's answer, which is there by now if it gave one.

    Raises:
        RequirementError: if BCC is missing.
        ProbeError: for any other failure.
    """
    channel.setblocking(False)
    try:
        answer, descriptors, _, _ = socket.recv_fds(
            channel, _MANIFEST_SIZE, len(MAPS) + len(PROGRAMS), _MSG_CMSG_CLOEXEC
        )
        manifest = json.loads(answer)
    except (BlockingIOError, ValueError):
        raise ProbeError(f"the compiler ended without an answer: {_last_line(printed)}") from None
    if "error" in manifest:
        raise _failure(str(manifest["error"]), printed)
    maps, programs = manifest["maps"], manifest["programs"]
    if len(descriptors) != len(maps) + len(programs):
        for descriptor in descriptors:
            os.close(descriptor)
        raise ProbeError("the probe's file descriptors did not all arrive", fix="raise `ulimit -n`")
    return LoadedPrograms(
        dict(zip(maps, descriptors, strict=False)),
        dict(zip(programs, descriptors[len(maps) :], strict=True)),
    )


def _failure(reason: str, printed: bytes) -> RequirementError | ProbeError:
    """One clear reason out of what BCC raised and what it printed."""
    if "BCC is not installed" in reason or "libbcc" in reason:
        return RequirementError(
            f"BCC is missing: {clean(reason, 200)}", fix="apt-get install -y python3-bpfcc"
        )
    if b"Operation not permitted" in printed or "super-user" in reason:
        return RequirementError(
            "the kernel refused the programs: operation not permitted",
            fix="run as root, or with CAP_BPF and CAP_PERFMON",
        )
    return ProbeError(f"{clean(reason, 80)}: {_last_line(printed)}")


def _last_line(printed: bytes) -> str:
    """The compiler's first error, or else the last thing it said."""
    lines: Sequence[bytes] = [line for line in printed.splitlines() if line.strip()]
    errors = [line for line in lines if b"error:" in line]
    return clean((errors[:1] or list(lines[-1:]) or [b"it printed nothing"])[0], 300)
