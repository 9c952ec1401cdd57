"""Programs attached to raw tracepoints, only as long as something needs them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys
from engine.probe.catalogue import TRACEPOINTS

PROGRAM_OF = {
    "sys_enter": "on_sys_enter",
    "sys_exit": "on_sys_exit",
    "sched_process_exit": "on_process_exit",
    "inet_sock_set_state": "on_tcp_state",
}
"""Which program serves a tracepoint."""


class Attachments:
    """What is attached now. An attachment is a descriptor: it ends with the process at the latest.

    Args:
        programs: Descriptors of the loaded programs by name; not closed here.
    """

    def __init__(self, programs: Mapping[str, int]) -> None:
        self._programs = programs
        self._links: dict[str, int] = {}

    def require(self, tracepoints: Iterable[str]) -> None:
        """Attach what is needed and detach everything else.

        Raises:
            ProbeError: if the kernel refuses one; what was attached before stays.
        """
        needed = set(tracepoints)
        for tracepoint in TRACEPOINTS:
            if tracepoint in needed and tracepoint not in self._links:
                self._links[tracepoint] = self._attach(tracepoint)
        for tracepoint in self._links.keys() - needed:
            os.close(self._links.pop(tracepoint))

    @property
    def any(self) -> bool:
        """Whether anything is attached."""
        return bool(self._links)

    def _attach(self, tracepoint: str) -> int:
        try:
            return bpfsys.raw_tracepoint_open(tracepoint, self._programs[PROGRAM_OF[tracepoint]])
        except OSError as refused:
            reason = clean(refused.strerror or str(refused))
            raise ProbeError(f"cannot attach to {tracepoint}: {reason}") from refused
