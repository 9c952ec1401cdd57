"""Bytes to edit in a dialog, as hex text; what they are and what is wrong with them underneath."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content

from engine.core.sanitise import clean
from tui.console.keys import HEX_KEYS
from tui.console.widgets.area import CleanArea
from tui.console.widgets.entry import Field
from tui.console.widgets.hexdump import PER_LINE, ascii_text

_TOKEN = re.compile(r"[^\s:,]+")
_NO_DIGIT = re.compile(r"[^0-9a-fA-F]")
_PREVIEW = 32


class HexFault(ValueError):
    """What is wrong with hex text, and where.

    Args:
        message: What is wrong.
        line: Line it is in, from 0.
        column: Column it is in, from 0.
    """

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(f"line {line + 1}, column {column + 1}: {message}")
        self.line = line
        self.column = column


def read_hex(text: str) -> bytes:
    """The bytes of hex text: pairs of digits, with spaces, colons or commas as one likes.

    Raises:
        HexFault: if it is something else.
    """
    found = bytearray()
    for number, line in enumerate(text.split("\n")):
        for token in _TOKEN.finditer(line):
            found += _read_token(token.group(), number, token.start())
    return bytes(found)


def _read_token(token: str, line: int, column: int) -> bytes:
    digits = token[2:] if token[:2] in ("0x", "0X") else token
    column += len(token) - len(digits)
    wrong = _NO_DIGIT.search(digits)
    if wrong is not None:
        shown = clean(wrong.group())
        raise HexFault(f"{shown!r} is no hex digit", line, column + wrong.start())
    if len(digits) % 2 or not digits:
        raise HexFault(f"{clean(token, 40)!r} lacks a digit: a byte has two", line, column)
    return bytes.fromhex(digits)


def hex_of(content: bytes) -> str:
    """The text one edits: 16 bytes a line."""
    return "\n".join(
        content[offset : offset + PER_LINE].hex(" ") for offset in range(0, len(content), PER_LINE)
    )


class HexArea(CleanArea):
    """An area for hex."""

    BINDINGS: ClassVar[list[BindingType]] = [*HEX_KEYS]

    def __init__(self, content: bytes) -> None:
        super().__init__(hex_of(content), soft_wrap=False, compact=True)

    @property
    def bytes_before_cursor(self) -> int:
        """How many bytes stand before the cursor; those of the line it is in up to it."""
        row, column = self.cursor_location
        lines = self.text.split("\n")[: row + 1]
        lines[-1] = lines[-1][:column]
        return sum(len(re.sub(r"0[xX]|[\s:,]", "", line)) // 2 for line in lines)


class HexEntry(Field):
    """Bytes to edit.

    Args:
        name: What the dialog calls its value, which is the hex text.
        label: What stands before it.
        content: What it begins with.
    """

    def __init__(self, name: str, label: str, content: bytes) -> None:
        self.area = HexArea(content)
        super().__init__(name, label, self.area)

    @property
    def value(self) -> str:
        """The hex text."""
        return self.area.text

    def on_mount(self) -> None:
        """Begin with what the bytes are."""
        self._tell()

    def on_text_area_changed(self) -> None:
        """Tell at once what the bytes are now, or what is wrong."""
        self.problem = ""
        self._tell()

    def on_text_area_selection_changed(self) -> None:
        """Tell where the cursor is."""
        if not self.problem:
            self._tell()

    def complain(self, problem: str) -> None:
        """Say what is wrong with the value, and go there."""
        super().complain(problem)
        try:
            read_hex(self.value)
        except HexFault as fault:
            self.area.move_cursor((fault.line, fault.column))

    def _tell(self) -> None:
        try:
            content = read_hex(self.value)
        except HexFault as fault:
            self.say_below(Content.styled(f"✗ {fault}", "$text-error"))
            return
        at = self.area.bytes_before_cursor
        shown = ascii_text(content[at : at + _PREVIEW])
        self.say_below(
            Content.styled(
                f"{len(content)} bytes · byte {at} ({at:#x}), from there: {shown}", "dim"
            )
        )
