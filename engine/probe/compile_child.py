"""Compile and load the kernel programs, hand their file descriptors over, and end.

Run as a script by the system's own Python, where the distribution's BCC lives:

    /usr/bin/python3 -I compile_child.py SOCKET_FD < request.json

BCC changes the working directory, writes to descriptors 1 and 2 and keeps LLVM in memory; in a
short-lived process none of that matters. The request names the source, the stub headers, the
compiler flags, the maps and the programs. The answer goes out on the Unix socket: a JSON
manifest, `{"maps": [...], "programs": [...]}`, with one file descriptor for each name in that
order, or `{"error": "..."}` without any. What the compiler prints stays on stderr.

Runs on Python 3.9 and newer, so it uses nothing of the engine.
"""

from __future__ import annotations

import array
import importlib.util
import json
import os
import socket
import sys
from pathlib import Path
from typing import Protocol, TypedDict

SYSTEM_PYTHON = "/usr/bin/python3"

_PACKAGE_DIRECTORIES = (
    "/usr/lib/python3/dist-packages",
    f"/usr/lib/python3.{sys.version_info.minor}/site-packages",
    f"/usr/lib64/python3.{sys.version_info.minor}/site-packages",
)


class Request(TypedDict):
    """What the engine asks for, on stdin."""

    sources: list[str]
    headers: str
    cflags: list[str]
    maps: list[str]
    programs: list[str]


class _Descriptor(Protocol):
    fd: int


class _Table(Protocol):
    map_fd: int


class _Module(Protocol):
    """The part of BCC's `BPF` that is used."""

    def load_func(self, name: bytes, kind: int) -> _Descriptor: ...
    def get_table(self, name: bytes) -> _Table: ...


def find_bcc() -> Path | None:
    """The distribution's BCC package, told from PyPI's unrelated `bcc` by its `libbcc.py`."""
    directories = [*_PACKAGE_DIRECTORIES]
    directories += sorted(map(str, Path("/usr").glob("lib*/python3*/site-packages")))
    for directory in directories:
        package = Path(directory, "bcc")
        if (package / "libbcc.py").is_file():
            return package
    return None


def compile_and_load(request: Request) -> tuple[_Module, list[int]]:
    """Compile the source and load its programs.

    Returns:
        The module, which owns the descriptors and must outlive them, and the descriptors of
        the maps and then of the programs, as requested.

    Raises:
        ImportError: if the distribution's BCC is not there or does not load.
        Exception: whatever BCC raises, which is a bare Exception.
    """
    package = find_bcc()
    if package is None:
        raise ImportError("the distribution's BCC is not installed")
    spec = importlib.util.spec_from_file_location(
        "bcc", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{package} is not a package")
    bcc = importlib.util.module_from_spec(spec)
    sys.modules["bcc"] = bcc
    spec.loader.exec_module(bcc)
    os.environ["BCC_KERNEL_SOURCE"] = request["headers"]
    text = b"".join(map(_numbered, request["sources"]))
    module: _Module = bcc.BPF(text=text, cflags=request["cflags"])
    maps = [module.get_table(name.encode()).map_fd for name in request["maps"]]
    programs = [
        module.load_func(name.encode(), bcc.BPF.RAW_TRACEPOINT).fd for name in request["programs"]
    ]
    return module, maps + programs


def _numbered(source: str) -> bytes:
    """A part of the text that keeps its name and lines in the compiler's messages."""
    path = Path(source)
    return b'#line 1 "%s"\n' % path.name.encode() + path.read_bytes()


def answer(channel: socket.socket, request: Request) -> int:
    """Do what is requested and answer; returns the exit status."""
    manifest: dict[str, object]
    try:
        _module, descriptors = compile_and_load(request)
    except Exception as error:  # BCC raises nothing narrower
        manifest = {"error": str(error).splitlines()[0] if str(error) else repr(error)}
        channel.sendmsg([json.dumps(manifest).encode()])
        return 1
    manifest = {"maps": request["maps"], "programs": request["programs"]}
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    channel.sendmsg([json.dumps(manifest).encode()], [rights])
    return 0


def main() -> int:
    """Read the request and answer it on the socket whose descriptor is the first argument."""
    request: Request = json.load(sys.stdin)
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        return answer(channel, request)


if __name__ == "__main__":
    sys.exit(main())
