"""Which threads and which results the kernel programs let through."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.probe import bpfsys
from engine.probe.abi import COMM, CONFIG, PIDS, Comm, Pid, Rule, Scope

COMM_BYTES = 15
NAMES_A_FILTER = 32
_PID_LIMIT = 1 << 22


@dataclass(frozen=True, slots=True)
class Filters:
    """What is delivered of the subscribed events; the default is everything but the own process.

    A thread is seen if it is one of `tids` or belongs to one of `tgids`, and has one of `comms`,
    and none of `excluded_comms`; an empty set asks nothing. All ids are those of the initial pid
    namespace. An event that no thread caused is seen as long as none is chosen.
    """

    tgids: frozenset[int] = frozenset()
    """Processes."""
    tids: frozenset[int] = frozenset()
    """Single threads."""
    follow: bool = False
    """Also the children of `tgids` created from now on, and theirs, from their first event."""
    comms: frozenset[str] = frozenset()
    """Thread names as the kernel has them: at most 15 bytes, compared exactly."""
    excluded_comms: frozenset[str] = frozenset()
    """Likewise, of threads never to be seen: Kindling's `process_filter`."""
    failed_only: bool = False
    """Of calls that return, only those with a negative result."""
    faithful: bool = False
    """Kindling's own rule: calls judged by their descriptor are seen only with a positive result,
    which leaves out every close, every end of file and every error of theirs."""

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: ids or names that no thread can have, or more than there is room for.
        """
        ids = self.tgids | self.tids
        if len(ids) > PIDS:
            raise UsageError(f"{len(ids)} processes are too many", fix=f"at most {PIDS}")
        wrong = [number for number in ids if not 0 < number < _PID_LIMIT]
        if wrong:
            raise UsageError(f"not a process id: {wrong[0]}")
        if self.follow and not self.tgids:
            raise UsageError("nothing to follow", fix="choose the processes to follow by their ids")
        for names in (self.comms, self.excluded_comms):
            if len(names) > NAMES_A_FILTER:
                raise UsageError(
                    f"{len(names)} names are too many", fix=f"at most {NAMES_A_FILTER}"
                )
            for name in names:
                _check_comm(name)


def _check_comm(name: str) -> None:
    encoded = name.encode()
    if not encoded or b"\0" in encoded:
        raise UsageError(f"not a thread's name: {clean(name)!r}")
    if len(encoded) > COMM_BYTES:
        kernel_has = encoded[:COMM_BYTES].decode(errors="ignore")
        raise UsageError(
            f"{clean(name)!r} is longer than the {COMM_BYTES} bytes the kernel keeps of a name",
            fix=f"write {clean(kernel_has)!r}",
        )


class FilterMaps:
    """The filters in force, and the own process, which is never seen.

    Args:
        config: Descriptor of the config map.
        pids: Descriptor of the pids map.
        comms: Descriptor of the comms map.
        own: The own tgid.

    Raises:
        OSError: if the kernel refuses.
    """

    def __init__(self, config: int, pids: int, comms: int, own: int) -> None:
        self._config = config
        self._pids = pids
        self._comms = comms
        self._own = own
        self._filters = Filters()
        self._choices = 0
        """How often filters were put in force: what the kernel began under others is stale."""
        self._ids: dict[bytes, int] = {}
        self._names: dict[bytes, int] = {}
        self._configure(self._filters)

    def set(self, wanted: Filters) -> None:
        """Put other filters in force.

        What they let in is let in before anything is shut out, and nothing that neither the
        old nor the new ones want is ever seen in between. Children followed so far stay as long
        as they are followed from the same processes or more.

        Raises:
            OSError: if the kernel refuses.
        """
        ids, names = _ids_of(wanted), _names_of(wanted)
        _add(self._pids, self._ids, ids)
        _add(self._comms, self._names, names)
        self._configure(wanted)
        _remove(self._pids, self._ids, ids)
        _remove(self._comms, self._names, names)
        before, self._filters = self._filters, wanted
        self._ids, self._names = ids, names
        if before.follow and not (wanted.follow and wanted.tgids >= before.tgids):
            self._forget_followed()

    def _configure(self, filters: Filters) -> None:
        scope = Scope(0)
        if filters.tgids:
            scope |= Scope.PROCESSES
        if filters.tids:
            scope |= Scope.THREADS
        if filters.comms:
            scope |= Scope.NAMES
        rules = Rule(0)
        if filters.failed_only:
            rules |= Rule.FAILED
        if filters.faithful:
            rules |= Rule.KINDLING
        self._choices += 1
        excluding = bool(filters.excluded_comms)
        packed = CONFIG.pack(self._own, scope, excluding, rules, self._choices)
        bpfsys.map_update(self._config, bpfsys.number_key(0), packed)

    def _forget_followed(self) -> None:
        """Take out the children the kernel put in."""
        for key in bpfsys.map_keys(self._pids, 4):
            if key not in self._ids:
                _delete(self._pids, key)


def _ids_of(filters: Filters) -> dict[bytes, int]:
    """The numbers to be in the map, with what they stand for."""
    ids = {bpfsys.number_key(tgid): int(Pid.PROCESS) for tgid in filters.tgids}
    for tid in filters.tids:
        ids[bpfsys.number_key(tid)] = ids.get(bpfsys.number_key(tid), 0) | Pid.THREAD
    return ids


def _names_of(filters: Filters) -> dict[bytes, int]:
    """The names to be in the map, with what is to be done about them."""
    names = {COMM.pack(name.encode()): int(Comm.CHOSEN) for name in filters.comms}
    for name in filters.excluded_comms:
        key = COMM.pack(name.encode())
        names[key] = names.get(key, 0) | Comm.EXCLUDED
    return names


def _add(descriptor: int, before: Mapping[bytes, int], wanted: Mapping[bytes, int]) -> None:
    for key, member in wanted.items():
        if before.get(key, 0) | member != before.get(key, 0):
            bpfsys.map_update(descriptor, key, bytes([before.get(key, 0) | member]))


def _remove(descriptor: int, before: Mapping[bytes, int], wanted: Mapping[bytes, int]) -> None:
    for key, member in before.items():
        if key not in wanted:
            _delete(descriptor, key)
        elif member & ~wanted[key]:
            bpfsys.map_update(descriptor, key, bytes([wanted[key]]))


def _delete(descriptor: int, key: bytes) -> None:
    try:
        bpfsys.map_delete(descriptor, key)
    except OSError as refused:
        if refused.errno != errno.ENOENT:  # the kernel forgets a followed child that ends
            raise
