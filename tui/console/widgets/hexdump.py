"""The bytes of a frame: offset, 16 bytes a line in hex, and what of them is printable ASCII."""

from __future__ import annotations

import struct

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from tui.console.widgets.selection import SelectableLines

PER_LINE = 16
_HEAD_LINES = 2
_OFFSET_WIDTH = 8
_HEX_WIDTH = 3 * PER_LINE + 1
_PREFIX = struct.Struct("<I")


def hex_text(chunk: bytes) -> str:
    """Up to 16 bytes in hex, with a gap in the middle, padded to the width of a whole line."""
    half = PER_LINE // 2
    pairs = [f"{byte:02x}" for byte in chunk]
    left, right = " ".join(pairs[:half]), " ".join(pairs[half:])
    return f"{left}  {right}".rstrip().ljust(_HEX_WIDTH)


def ascii_text(chunk: bytes) -> str:
    """The printable ASCII of some bytes, a dot for each other byte."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in chunk)


def hex_lines(content: bytes) -> list[str]:
    """The whole dump as text, a line for each 16 bytes."""
    return [
        f"{offset:06x}".ljust(_OFFSET_WIDTH) + f"{hex_text(chunk)} {ascii_text(chunk)}"
        for offset in range(0, len(content), PER_LINE)
        if (chunk := content[offset : offset + PER_LINE])
    ]


class HexView(ScrollView, SelectableLines, can_focus=True):
    """A frame as it was on the wire; only the lines in view are made."""

    def __init__(self, *, empty: str = "") -> None:
        super().__init__()
        self._empty = empty
        self._prefix: bytes | None = None
        self._body: bytes | None = None

    def show(self, body: bytes | None, *, prefix: bool) -> None:
        """Take over a frame's body, None if it is not kept.

        Args:
            body: The bytes.
            prefix: Whether a length prefix stood before them.
        """
        self._body = body
        self._prefix = _PREFIX.pack(len(body)) if prefix and body is not None else None
        self.scroll_home(animate=False)
        self._fit()

    def on_resize(self) -> None:
        """The scroll bar depends on the width."""
        self._fit()

    def _fit(self) -> None:
        lines = -(-len(self._body or b"") // PER_LINE)
        width = _OFFSET_WIDTH + _HEX_WIDTH + 1 + PER_LINE
        self.virtual_size = Size(width, lines + (_HEAD_LINES if self._prefix else 0))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the dump."""
        base, width = self.rich_style, self.size.width
        left, top = self.scroll_offset
        strip = Strip(self._line(top + y, base)).crop_extend(left, left + width, base)
        return self.mark_selected(strip, top + y)

    def lines_in_view(self) -> range:
        """Numbers of the lines in view."""
        top = self.scroll_offset.y
        return range(top, min(top + self.size.height, self.virtual_size.height))

    def first_line_at(self) -> int:
        """There is nothing above them."""
        return 0

    def whole_line(self, number: int) -> Strip:
        """A line of the dump."""
        return Strip(self._line(number, Style()))

    def _line(self, number: int, base: Style) -> list[Segment]:
        dim = base + Style(dim=True)
        if self._body is None:
            return [Segment(self._empty, dim)] if number == 0 else []
        if self._prefix is not None:
            if number == 0:
                return self._prefix_line(base, dim)
            number -= _HEAD_LINES
        chunk = self._body[number * PER_LINE : (number + 1) * PER_LINE] if number >= 0 else b""
        if not chunk:
            return []
        return [
            Segment(f"{number * PER_LINE:06x}".ljust(_OFFSET_WIDTH), dim),
            Segment(hex_text(chunk), base),
            Segment(f" {ascii_text(chunk)}", base + Style(bold=True)),
        ]

    def _prefix_line(self, base: Style, dim: Style) -> list[Segment]:
        prefix, length = self._prefix or b"", len(self._body or b"")
        return [
            Segment("prefix".ljust(_OFFSET_WIDTH), dim),
            Segment(hex_text(prefix)[: 3 * len(prefix)], base),
            Segment(f" length {length}, little-endian", dim),
        ]
