"""Programs attached to raw tracepoints, only as long as something needs them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys

TRACEPOINT_OF = {
    # In the order of attaching: an exit needs its enter for the latency.
    "on_sys_enter": "sys_enter",
    "on_sys_exit": "sys_exit",
    "on_process_exit": "sched_process_exit",
    "on_tcp_state": "inet_sock_set_state",
}
"""The raw tracepoint each program is attached to; several may share one."""


class Attachments:
    """What is attached now. An attachment is a descriptor: it ends with the process at the latest.

    Args:
        programs: Descriptors of the loaded programs by name; not closed here.
    """

    def __init__(self, programs: Mapping[str, int]) -> None:
        self._programs = programs
        self._links: dict[str, int] = {}

    def require(self, programs: Iterable[str]) -> None:
        """Attach what is needed and detach everything else.

        Raises:
            ProbeError: if the kernel refuses one; what was attached before stays.
        """
        needed = set(programs)
        for program in TRACEPOINT_OF:
            if program in needed and program not in self._links:
                self._links[program] = self._attach(program)
        for program in self._links.keys() - needed:
            os.close(self._links.pop(program))

    @property
    def any(self) -> bool:
        """Whether anything is attached."""
        return bool(self._links)

    def _attach(self, program: str) -> int:
        tracepoint = TRACEPOINT_OF[program]
        try:
            return bpfsys.raw_tracepoint_open(tracepoint, self._programs[program])
        except OSError as refused:
            reason = clean(refused.strerror or str(refused))
            raise ProbeError(f"cannot attach to {tracepoint}: {reason}") from refused
