"""Which process the console looks at, alone or with its children, and what belongs to it."""

from __future__ import annotations

from typing import NamedTuple

from engine.core.fields import JsonValue
from engine.core.lineage import ProcessTree
from engine.core.records import Record
from engine.core.sanitise import clean

_PROCESS_FIELDS = {
    "plugin_state": ("pgid",),
    "plugin_record": (),
    "plugin_fault": (),
    "process": (),
    "capture_state": (),
    "kernel_event": (),
    "l7_message": ("client_pid", "server_pid"),
}
"""Kinds whose records belong to a process, and their fields beside `pid` that name one."""

_ALWAYS = 2**63


class Process(NamedTuple):
    """A process, as far as a row names it."""

    pid: int
    comm: str

    def __str__(self) -> str:
        return f"{self.pid} {clean(self.comm)}".rstrip()


class Scope:
    """One process, or it with all that descend from it; tells what belongs to it.

    Args:
        process: The process.
        tree: The processes that descend from it; None for itself only.
    """

    def __init__(self, process: Process, tree: ProcessTree | None = None) -> None:
        self.process = process
        self.tree = tree
        self._alone = frozenset({process.pid})
        self._followed: list[tuple[int, int]] = []
        """Spans of wall time in which the kernel let through nobody else's events."""

    def __str__(self) -> str:
        return f"{self.process}{' + tree' if self.tree else ''}"

    @property
    def pids(self) -> frozenset[int]:
        """The processes it is about, as far as they are known."""
        return self.tree.pids if self.tree else self._alone

    @staticmethod
    def concerns(kind: str) -> bool:
        """Whether records of that kind belong to processes at all."""
        return kind in _PROCESS_FIELDS

    def shows(self, record: Record) -> bool:
        """Whether a record is about one of its processes; one that is about none is, too."""
        fields = _PROCESS_FIELDS.get(record.kind)
        if fields is None or record.pid in self.pids:
            return True
        if any(_is_one_of(self.pids, record.get(name)) for name in fields):
            return True
        return record.kind == "kernel_event" and self._is_followed_at(record.ts_ns)

    # Between two looks at the tree a child can come and go; only the kernel knows it.

    def trust_kernel_from(self, ts_ns: int) -> None:
        """From then on the kernel follows the tree, and lets nobody else's events through."""
        self._followed.append((ts_ns, _ALWAYS))

    def trust_kernel_until(self, ts_ns: int) -> None:
        """From then on it lets others through."""
        self._followed = [(since, min(until, ts_ns)) for since, until in self._followed]

    def _is_followed_at(self, ts_ns: int) -> bool:
        return any(since <= ts_ns < until for since, until in self._followed)


def _is_one_of(pids: frozenset[int], value: JsonValue) -> bool:
    return isinstance(value, int) and value in pids
