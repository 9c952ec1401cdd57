"""Where one record of a module's pipe ends and the next begins."""

from __future__ import annotations

import struct

_LENGTH = struct.Struct("<I")
LONGEST = 64 << 20
"""A length above this is no record's; the plugin host draws the line there too."""


class Garbage(Exception):
    """A length that no record has.

    Args:
        before: The whole records before it.
        rest: Everything from that length on.
        length: The length.
    """

    def __init__(self, before: bytes, rest: bytes, length: int) -> None:
        super().__init__(f"a record of {length} bytes")
        self.before = before
        self.rest = rest
        self.length = length


class RecordSplitter:
    """Cuts a stream into whole records, so that something else can be put between them.

    A record is handed on when all of it is there.
    """

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = _LENGTH.size
        """So much there has to be before there can be another whole record."""

    def take(self, fresh: bytes) -> bytes:
        """The whole records there are now, prefixes included.

        Raises:
            Garbage: something that is no record comes next.
        """
        data = self._held
        data += fresh
        end = 0
        while len(data) - end >= self._wanted:
            (length,) = _LENGTH.unpack_from(data, end)
            if length > LONGEST:
                garbage = Garbage(bytes(data[:end]), bytes(data[end:]), length)
                data.clear()
                raise garbage
            self._wanted = _LENGTH.size + length
            if len(data) - end >= self._wanted:
                end += self._wanted
                self._wanted = _LENGTH.size
        whole = bytes(data[:end])
        del data[:end]
        return whole

    def rest(self) -> bytes:
        """A record that was not finished."""
        held = bytes(self._held)
        self._held.clear()
        return held
