"""Texts in a Go plugin's own code, with the function that uses them.

Go's texts are not separated from each other, so that a search for bytes finds `sudo` in every
plugin (of "pseudo"). The code says better where a text begins: an instruction loads its address
(`lea`, relative to itself), and one beside it nearly always its length. x86-64 only.

Format: Intel SDM, instruction encodings; register order of Go's internal ABI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.elf import ElfFile
from engine.modules.exports import Function

_LEA = re.compile(rb"[\x48\x4c]\x8d([\x05\x0d\x15\x1d\x25\x2d\x35\x3d])", re.DOTALL)
_LEA_BYTES = 7
_NEXT_IS_LENGTH = {  # (register of the address: REX.R, modrm) -> instruction that loads its length
    (0, 0x05): b"\xbb",  # rax, rbx
    (0, 0x1D): b"\xb9",  # rbx, rcx
    (0, 0x0D): b"\xbf",  # rcx, rdi
    (0, 0x3D): b"\xbe",  # rdi, rsi
    (0, 0x35): b"\x41\xb8",  # rsi, r8
    (1, 0x05): b"\x41\xb9",  # r8, r9
    (1, 0x0D): b"\x41\xba",  # r9, r10
    (1, 0x15): b"\x41\xbb",  # r10, r11
}
_PLACE = rb"""(?:[\x00-\x03\x06-\x0b\x0e-\x13\x16-\x1b\x1e-\x23\x26-\x2b\x2e-\x33\x36-\x3b\x3e\x3f]
    |[\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x24
    |[\x44\x4c\x54\x5c\x64\x6c\x74\x7c]\x24(?P<near>.)
    |[\x40-\x43\x45-\x4b\x4d-\x53\x55-\x5b\x5d-\x63\x65-\x6b\x6d-\x73\x75-\x7b\x7d-\x7f](?P<off>.)
    |[\x84\x8c\x94\x9c\xa4\xac\xb4\xbc]\x24(?P<far>.{4}))"""
"""Operand in memory: at a register, or at the stack pointer, with a distance of 0, 1 or 4 bytes."""
_STORED_ADDRESS = re.compile(rb"[\x48\x49\x4c\x4d]\x89" + _PLACE, re.DOTALL | re.VERBOSE)
_STORED_NUMBER = re.compile(
    rb"[\x48\x49]\xc7" + _PLACE + rb"(?P<number>.{4})", re.DOTALL | re.VERBOSE
)
_WINDOW = 48
"""Bytes of code before and after the instruction in which the length is looked for."""
_SHORTEST, _LONGEST, _LONGEST_GUESS = 2, 4096, 80
_LARGEST_FUNCTION, _MOST_FUNCTIONS, _MOST_LITERALS = 1 << 20, 20_000, 5_000
_HEADER, _MOST_HEADERS = 16, 1_000
_PRINTABLE = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]+")
_WRITABLE, _EXECUTABLE = 2, 1
_NOTABLE = re.compile(
    r"""\b(?:ba|z|da|k)?sh\b | \bcurl\b | \bwget\b | \bsudo\b | \bchmod\b | \bnc\b | \bpython3?\b
      | \bpowershell\b | /etc/(?:passwd|shadow|sudoers|ld\.so) | LD_PRELOAD | authorized_keys
      | /dev/tcp/ | \bbase64\b | \bcrontab\b | https?:// | /proc/self/mem | \bptrace\b""",
    re.VERBOSE,
)


class Literal(NamedTuple):
    """A text in the plugin's own code."""

    text: str
    function: str
    """Without the plugin path, such as `(*Doctor).HealthCheck`."""
    exact: bool
    """Whether its end is known; its beginning always is."""
    notable: bool
    """See `is_notable`."""


def is_notable(text: str) -> bool:
    """Whether a text names a shell, a download, an address, ...; a hint and no proof."""
    return bool(_NOTABLE.search(text))


def literals(elf: ElfFile, functions: tuple[Function, ...]) -> tuple[Literal, ...]:
    """Texts that these functions use, in the order of the code; each once a function.

    Raises:
        MalformedModule: if a function is not where its symbol says.
    """
    if elf.machine != "x86-64":
        return ()
    sizes = {symbol.value: symbol.size for symbol in elf.symbols.defined.values()}
    found: dict[tuple[str, str], Literal] = {}
    for function in functions[:_MOST_FUNCTIONS]:
        code = elf.read(function.address, min(function.size, _LARGEST_FUNCTION))
        for raw, exact in _texts(elf, function.address, code, sizes):
            text = clean(raw)
            key = (function.name, text)
            if key not in found:
                found[key] = Literal(text, clean(function.name, 400), exact, is_notable(text))
            if len(found) >= _MOST_LITERALS:
                return tuple(found.values())
    return tuple(found.values())


def _texts(
    elf: ElfFile, start: int, code: bytes, sizes: dict[int, int]
) -> Iterator[tuple[bytes, bool]]:
    for match in _LEA.finditer(code):
        at = match.start()
        if at + _LEA_BYTES > len(code):
            return
        distance = int.from_bytes(code[at + 3 : at + _LEA_BYTES], "little", signed=True)
        target = start + at + _LEA_BYTES + distance
        flags = _flags(elf, target)
        if flags is None or flags & _EXECUTABLE:
            continue
        if flags & _WRITABLE:
            yield from _through_headers(elf, target, sizes.get(target, 0) // _HEADER)
        else:
            yield from _direct(elf, target, _length(code, at))


def _direct(elf: ElfFile, target: int, length: int | None) -> Iterator[tuple[bytes, bool]]:
    if length is not None and _SHORTEST <= length <= _LONGEST:
        raw = _read_or_nothing(elf, target, length)
        if _is_text(raw):
            yield raw, True
            return
    match = _PRINTABLE.match(_available(elf, target))
    if length is None and match and len(match[0]) >= 4 and _is_text(match[0]):
        yield match[0], False


def _through_headers(elf: ElfFile, place: int, count: int) -> Iterator[tuple[bytes, bool]]:
    """String headers in data: pointer, which is relocated, and length."""
    for _ in range(min(count, _MOST_HEADERS) or 1):
        if place not in elf.relocations:
            return
        try:
            target, length = elf.pointer(place), elf.word(place + 8)
        except MalformedModule:
            return
        if not 0 < length <= _LONGEST or _flags(elf, target) not in (4, 5):
            return
        raw = _read_or_nothing(elf, target, length)
        if not _is_text(raw):
            return
        if length >= _SHORTEST:
            yield raw, True
        place += _HEADER


def _length(code: bytes, at: int) -> int | None:
    """The length that an instruction near the one at `at` loads; None if there is none.

    It is put into the register that follows the address's, or stored 8 bytes behind it.
    """
    expected = _NEXT_IS_LENGTH.get((code[at] >> 2 & 1, code[at + 2]), b"")
    behind = at + _LEA_BYTES
    before, after = code[max(0, at - _WINDOW) : at], code[behind : behind + _WINDOW]
    if expected and after.startswith(expected):
        return _number(after, len(expected))
    stored = _STORED_ADDRESS.match(after)
    if stored:
        for number in (*_STORED_NUMBER.finditer(after), *_STORED_NUMBER.finditer(before)):
            if _distance(number) == _distance(stored) + 8:
                return _number(number["number"], 0)
    earlier = before.rfind(expected) if expected else -1
    return _number(before, earlier + len(expected)) if earlier >= 0 else None


def _distance(operand: re.Match[bytes]) -> int:
    raw = operand["near"] or operand["off"] or operand["far"] or b"\0"
    return int.from_bytes(raw, "little", signed=True)


def _number(code: bytes, at: int) -> int:
    return int.from_bytes(code[at : at + 4], "little")


def _flags(elf: ElfFile, address: int) -> int | None:
    for segment in elf.loads:
        if segment.address <= address < segment.address + segment.file_size:
            return segment.flags
    return None


def _available(elf: ElfFile, address: int) -> bytes:
    for segment in elf.loads:
        left = segment.address + segment.file_size - address
        if address >= segment.address and left > 0:
            return elf.read(address, min(left, _LONGEST_GUESS))
    return b""


def _read_or_nothing(elf: ElfFile, address: int, length: int) -> bytes:
    try:
        return elf.read(address, length)
    except MalformedModule:
        return b""


def _is_text(raw: bytes) -> bool:
    """Whether it is UTF-8 without control characters."""
    if not _PRINTABLE.fullmatch(raw):
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
