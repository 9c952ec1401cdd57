"""What differs between two runs of records that are mostly the same.

It costs no object per record, only for those that differ.
"""

from __future__ import annotations

_LOOK_AHEAD = 8
"""How many records that came or went in a row are seen through."""


def differing_records(before: bytes, now: bytes, length: int) -> tuple[set[bytes], set[bytes]]:
    """Which records of the former are not in the latter, and the other way round.

    Both are records of one length, one behind the other, mostly the same in the same order; what
    is common is skipped in leaps.
    """
    went, came = set[bytes](), set[bytes]()
    i = j = 0
    while i < len(before) and j < len(now):
        same = _common(before, i, now, j, length)
        i, j = i + same, j + same
        old, new = before[i : i + length], now[j : j + length]
        if not (old and new):
            break
        skipped = added = length
        for ahead in range(length, _LOOK_AHEAD * length, length):
            if before[i + ahead : i + ahead + length] == new:
                skipped, added = ahead, 0
                break
            if now[j + ahead : j + ahead + length] == old:
                skipped, added = 0, ahead
                break
        went.update(before[at : at + length] for at in range(i, i + skipped, length))
        came.update(now[at : at + length] for at in range(j, j + added, length))
        i, j = i + skipped, j + added
    went.update(before[at : at + length] for at in range(i, len(before), length))
    came.update(now[at : at + length] for at in range(j, len(now), length))
    return went - came, came - went


def _common(before: bytes, i: int, now: bytes, j: int, length: int) -> int:
    """How many bytes are the same from there on, in whole records."""
    start, leap = i, length
    end = i + min(len(before) - i, len(now) - j)
    while i < end and before[i : i + leap] == now[j : j + leap] and i + leap <= end:
        i, j, leap = i + leap, j + leap, leap * 2
    while leap >= length:
        if i + leap <= end and before[i : i + leap] == now[j : j + leap]:
            i, j = i + leap, j + leap
        leap //= 2
    return i - start
