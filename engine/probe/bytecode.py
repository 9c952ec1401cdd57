"""Compiled programs and the maps they use, as they go from the compiler to the kernel.

The text form is JSON, written by the compiling child and kept by the cache:

    {"maps": [[NAME, type, key size, value size, entries, flags]...],
     "programs": {NAME: base64 of the instructions}}

An instruction that refers to a map is a 16-byte load whose source register says so and whose
immediate is, in the kernel's form, the map's descriptor; here it is the map's place in the list
(kernel `include/uapi/linux/bpf.h`: BPF_LD | BPF_DW | BPF_IMM with BPF_PSEUDO_MAP_FD).
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from engine.core.errors import RAISE_THE_LIMIT, TOO_MANY_FILES, ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys

INSTRUCTION = struct.Struct("<BBhi")
"""struct bpf_insn: code, registers (source in the upper half), offset, immediate."""
_LOAD_64 = 0x18
_PSEUDO_MAP_FD = 1
_REASON_LENGTH = 300
_STATISTICS = ("processed ", "verification time", "stack depth")


class MapShape(NamedTuple):
    """What a map is made with."""

    name: str
    kind: int
    key_size: int
    value_size: int
    entries: int
    flags: int


class Bytecode(NamedTuple):
    """Programs ready to be loaded, with the maps they share."""

    maps: tuple[MapShape, ...]
    programs: Mapping[str, bytes]
    """Instructions by the program's name."""


class LoadedPrograms:
    """The descriptors of maps and programs; the kernel frees them when the last is closed.

    Args:
        maps: Descriptors by the map's name.
        programs: Descriptors by the program's name.
        refused: Programs the kernel did not take, with its reason.
    """

    def __init__(
        self,
        maps: Mapping[str, int],
        programs: Mapping[str, int],
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.maps = dict(maps)
        self.programs = dict(programs)
        self.refused: Mapping[str, str] = dict(refused or {})

    def close(self) -> None:
        """Close everything. May be called twice."""
        for descriptors in (self.programs, self.maps):
            while descriptors:
                os.close(descriptors.popitem()[1])


def parse(text: bytes) -> Bytecode:
    """Read the text form.

    Raises:
        ValueError: if it is not that, or refers to maps it does not have.
    """
    try:
        document = json.loads(text)
        maps = tuple(MapShape(str(name), *map(int, sizes)) for name, *sizes in document["maps"])
        programs = {
            str(name): base64.b64decode(code, validate=True)
            for name, code in document["programs"].items()
        }
    except (KeyError, TypeError, AttributeError, binascii.Error) as wrong:
        raise ValueError(f"not compiled programs: {wrong!r}") from wrong
    for name, code in programs.items():
        if len(code) % INSTRUCTION.size:
            raise ValueError(f"{name} ends in the middle of an instruction")
        _relocated(code, range(len(maps)))
    return Bytecode(maps, programs)


def load(bytecode: Bytecode, entries: Mapping[str, int] | None = None) -> LoadedPrograms:
    """Make the maps and load the programs, each on its own.

    A program the kernel refuses is named in `refused` with the verifier's last words.

    Args:
        bytecode: What is to be loaded.
        entries: How large some maps are made, by name; of a ring that is its size in bytes. The
            others are as they were compiled.

    Raises:
        ProbeError: if a map cannot be made, or this process may open no more.
    """
    with ExitStack() as closing:
        maps: dict[str, int] = {}
        for shape in bytecode.maps:
            sized = shape._replace(entries=(entries or {}).get(shape.name, shape.entries))
            maps[shape.name] = _create(sized)
            closing.callback(os.close, maps[shape.name])
        programs: dict[str, int] = {}
        refused: dict[str, str] = {}
        descriptors = list(maps.values())
        for name, code in bytecode.programs.items():
            code = _relocated(code, descriptors)
            try:
                programs[name] = bpfsys.load_raw_tracepoint(code, name)
                closing.callback(os.close, programs[name])
            except OSError as error:
                if error.errno in TOO_MANY_FILES:
                    raise ProbeError(
                        f"cannot load the kernel programs: {error.strerror}", fix=RAISE_THE_LIMIT
                    ) from error
                refused[name] = _why(error, code)
        closing.pop_all()
    return LoadedPrograms(maps, programs, refused)


def _create(shape: MapShape) -> int:
    try:
        return bpfsys.create_map(*shape[1:], shape.name)
    except OSError as error:
        reason = clean(error.strerror or str(error))
        raise ProbeError(
            f"cannot make the kernel map {clean(shape.name, 40)}: {reason}",
            fix=RAISE_THE_LIMIT if error.errno in TOO_MANY_FILES else "",
        ) from error


def _relocated(code: bytes, descriptors: Sequence[int]) -> bytes:
    """The instructions with descriptors in place of the maps' places.

    Raises:
        ValueError: if they refer to a map that is not there.
    """
    made = bytearray(code)
    for at in range(0, len(code), INSTRUCTION.size):
        operation, registers, offset, place = INSTRUCTION.unpack_from(code, at)
        if operation == _LOAD_64 and registers >> 4 == _PSEUDO_MAP_FD:
            if not 0 <= place < len(descriptors):
                raise ValueError(f"there is no map number {place}")
            INSTRUCTION.pack_into(made, at, operation, registers, offset, descriptors[place])
    return bytes(made)


def _why(error: OSError, code: bytes) -> str:
    """What the kernel answered, and the last line of its verifier that is not its statistics."""
    reason = error.strerror or str(error)
    lines = [line.strip() for line in bpfsys.verifier_log(code).splitlines()]
    telling = [line for line in lines if line and not line.startswith(_STATISTICS)]
    return clean(f"{reason}: {telling[-1]}" if telling else reason, _REASON_LENGTH)
