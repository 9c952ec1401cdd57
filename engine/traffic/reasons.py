"""Why a payload segment gave nothing."""

from __future__ import annotations

from typing import Literal

DropReason = Literal[
    "malformed",
    "truncated",
    "fragment",
    "retransmission",
    "gap",
    "buffer_full",
    "not_parsed",
    "unix_socket",
    "no_address",
    "link_type",
    "left_alone",
]
"""malformed: its parser choked on it; truncated, fragment: it is not whole; retransmission: seen
before; gap: bytes before it are missing and it begins in the middle of a message; buffer_full: a
head did not end; not_parsed: no plugin could parse what one had claimed; unix_socket: it has no
IP addresses; no_address: its socket was closed before its addresses were known; link_type: its
interface has a link layer that is not understood; left_alone: its server failed too often.
"""


class Dropped(Exception):
    """A segment could not be used."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason)
        self.reason: DropReason = reason
