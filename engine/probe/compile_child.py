"""Compile the kernel programs, write them down, and end.

Run as a script by the system's own Python, where the distribution's BCC lives:

    /usr/bin/python3 -I compile_child.py ANSWER_FD < request.json

BCC changes the working directory, writes to descriptors 1 and 2 and keeps LLVM in memory; in a
short-lived process none of that matters. The request names the source, the stub headers, the
compiler flags and the programs. The answer is one JSON object, written to the descriptor: the
text form of `bytecode.py`, or `{"error": WHY}`. What the compiler prints stays on stderr.

Runs on Python 3.9 and newer, so it uses nothing of the engine.
"""

from __future__ import annotations

import base64
import ctypes
import importlib.util
import json
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypedDict

SYSTEM_PYTHON = "/usr/bin/python3"

_PACKAGE_DIRECTORIES = (
    "/usr/lib/python3/dist-packages",
    f"/usr/lib/python3.{sys.version_info.minor}/site-packages",
    f"/usr/lib64/python3.{sys.version_info.minor}/site-packages",
)
_REASON_LENGTH = 300
_INSTRUCTION = struct.Struct("<BBhi")
_LOAD_64 = 0x18
_PSEUDO_MAP_FD = 1
_NR_BPF = 321  # x86-64
_OBJ_GET_INFO_BY_FD = 15
_MAP_INFO = struct.Struct("<I4xIIII")
"""The beginning of struct bpf_map_info: type, id, key size, value size, entries, flags."""


class Request(TypedDict):
    """What the engine asks for, on stdin."""

    sources: list[str]
    headers: str
    cflags: list[str]
    programs: list[str]


class _Module(Protocol):
    """The part of BCC's `BPF` that is used."""

    module: object

    def dump_func(self, name: bytes) -> bytes: ...


def find_bcc() -> Path | None:
    """The distribution's BCC package, told from PyPI's unrelated `bcc` by its `libbcc.py`."""
    directories = [*_PACKAGE_DIRECTORIES]
    directories += sorted(map(str, Path("/usr").glob("lib*/python3*/site-packages")))
    for directory in directories:
        package = Path(directory, "bcc")
        if (package / "libbcc.py").is_file():
            return package
    return None


def compile_text(request: Request) -> dict[str, object]:
    """Compile the source.

    Returns:
        The maps and the instructions of the programs, in the text form.

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
    descriptors = _maps_of(bcc.lib, module.module)
    places = {descriptor: place for place, descriptor in enumerate(descriptors.values())}
    return {
        "maps": [[name, *_shape(descriptor)] for name, descriptor in descriptors.items()],
        "programs": {
            name: base64.b64encode(_placed(code, places)).decode()
            for name, code in _programs_of(module, request["programs"])
        },
    }


def _programs_of(module: _Module, names: list[str]) -> Iterator[tuple[str, bytes]]:
    """Those of the programs that the text has."""
    for name in names:
        try:
            code = module.dump_func(name.encode())
        except Exception:  # BCC raises nothing narrower where there is none
            continue
        yield name, code


def _numbered(source: str) -> bytes:
    """A part of the text that keeps its name and lines in the compiler's messages."""
    path = Path(source)
    return b'#line 1 "%s"\n' % path.name.encode() + path.read_bytes()


def _maps_of(lib: Any, module: object) -> dict[str, int]:
    """The descriptors of all the text's maps by name."""
    lib.bpf_table_name.restype = ctypes.c_char_p
    return {
        lib.bpf_table_name(module, number).decode(): lib.bpf_table_fd_id(module, number)
        for number in range(lib.bpf_num_tables(module))
    }


def _shape(descriptor: int) -> list[int]:
    """Type, key size, value size, entries and flags, as the kernel knows them."""
    information = ctypes.create_string_buffer(88)
    packed = struct.pack("<IIQ", descriptor, len(information), ctypes.addressof(information))
    attributes = ctypes.create_string_buffer(packed, 128)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_NR_BPF, _OBJ_GET_INFO_BY_FD, attributes, len(attributes)) < 0:
        raise OSError(ctypes.get_errno(), "cannot ask for a map's shape")
    kind, key, value, entries, flags = _MAP_INFO.unpack_from(information)
    return [kind, key, value, entries, flags]


def _placed(code: bytes, places: dict[int, int]) -> bytes:
    """The instructions with the maps' places in the list instead of their descriptors."""
    made = bytearray(code)
    for at in range(0, len(code), _INSTRUCTION.size):
        operation, registers, offset, descriptor = _INSTRUCTION.unpack_from(code, at)
        if operation == _LOAD_64 and registers >> 4 == _PSEUDO_MAP_FD:
            _INSTRUCTION.pack_into(made, at, operation, registers, offset, places[descriptor])
    return bytes(made)


def answer(request: Request) -> dict[str, object]:
    """What is written for a request."""
    try:
        return compile_text(request)
    except Exception as error:  # BCC raises nothing narrower
        reason = str(error).splitlines()[0] if str(error) else repr(error)
        return {"error": reason[:_REASON_LENGTH]}


def main() -> int:
    """Read the request and write the answer to the descriptor that is the first argument."""
    request: Request = json.load(sys.stdin)
    answered = answer(request)
    with open(int(sys.argv[1]), "w", encoding="ascii") as file:
        json.dump(answered, file)
    return int("error" in answered)


if __name__ == "__main__":
    sys.exit(main())
