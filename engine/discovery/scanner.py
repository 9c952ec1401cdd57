"""The first stage: sockets of all namespaces to processes, and what changed since the last look.

A look costs about what the kernel needs to list the sockets and /proc; of what is known only
that is read again which differs, or whose turn it is.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from itertools import islice
from operator import attrgetter

from engine.core.errors import ProcessGone
from engine.core.identity import read_stat
from engine.discovery.diag_messages import BoundSocket
from engine.discovery.facts import (
    ProcessFacts,
    Siblings,
    age_s,
    read_argv,
    read_exe,
    read_facts,
)
from engine.discovery.language import Languages
from engine.discovery.namespaces import Dumped, Namespaces
from engine.discovery.observed import RECEIVERS, Event, Observed, Scope, observed
from engine.discovery.owners import Owners
from engine.discovery.processes import ProcessTable, Turn
from engine.discovery.sockdiag import ALL_TABLES, TABLES

_EXES_CHECKED = 32
"""Executables looked at again per look, in turn."""
_ARGUMENTS_CHECKED = 8
"""Arguments looked at again per look, in turn: a program can exec itself anew."""
_MOST_SIBLINGS = 256
"""Families of forked processes whose language is kept in mind."""
_FORK_GRACE_S = 0.03
"""How long a forked process is given to exec before it counts as what it was forked from."""
_RETRY_S = 0.005
_DEAD = "ZX"
"""States of what ended and waits for its parent to notice."""
_ENDING_S = 1.0
"""How long a process that has begun to end is looked at again and again until it holds nothing."""


class Scanner:
    """Looks at the box and tells what came, changed and went.

    Args:
        min_process_age_s: A process without ports is told of when it is that old.
        faithful: Whether languages are told exactly as Beyla does.
    """

    def __init__(self, min_process_age_s: float = 0.0, *, faithful: bool = False) -> None:
        self.known: Mapping[int, Observed] = {}
        """What was told of, by key; replaced, never changed."""
        self.dumped = Dumped()
        """The sockets of the latest look."""
        self.retry_s: float | None = None
        """When a process that was not ready yet should be looked at again, if there is one."""
        self.processes = ProcessTable()
        self.owners = Owners(self.processes)
        self.namespaces = Namespaces(self.processes)
        self._min_process_age_s = min_process_age_s
        self._languages = Languages(faithful=faithful)
        self._scope = RECEIVERS
        self._sockets: dict[int, BoundSocket] = {}
        """By inode; those of the kernel itself, which have none, are `_kernels`."""
        self._kernels: Counter[BoundSocket] = Counter()
        self._differing: set[int] = set()
        """Inodes of sockets that are new or not what they were, until their holders are seen."""
        self._unowned_told: set[int] = set()
        """The keys of sockets without a process, as they were told of last."""
        self._not_ready: set[int] = set()
        self._ending: dict[int, float] = {}
        self._siblings: Siblings = {}
        self._turn = Turn()

    def look(
        self, scope: Scope = RECEIVERS, doubtful: AbstractSet[int] = frozenset()
    ) -> list[Event[Observed]]:
        """Look once.

        Args:
            scope: What is looked for.
            doubtful: Pids that are known to have changed.

        Returns:
            What differs from the look before, what went first.

        Raises:
            OSError: if /proc cannot be read.
        """
        rescoped, self._scope = scope != self._scope, scope
        self.owners.every_end = scope.portless
        moved = self._resolve()
        self._walk_again(doubtful)
        differing = {pid for inode in self._differing for pid in self.owners.holders.get(inode, ())}
        differing |= self.owners.take_touched() | moved | self._not_ready | self._ending.keys()
        differing |= self.processes.appeared | self._suspects(doubtful)
        if rescoped:
            differing |= self.processes.pids
        differing |= {key for key in self.known.keys() - self.processes.pids if key > 0}
        self._not_ready, self.retry_s = set(), None
        if len(self._siblings) > _MOST_SIBLINGS:
            self._siblings.clear()
        now = {pid: self._examine(pid) for pid in differing}
        self._differing.clear()
        return self._note({**now, **self._unowned()})

    def look_at_not_ready(self) -> list[Event[Observed]]:
        """Look only at the processes that were not ready at the last look.

        Raises:
            OSError: if /proc cannot be read.
        """
        waiting, self._not_ready, self.retry_s = self._not_ready, set(), None
        for pid in waiting:
            self.owners.look_at(pid)
        return self._note({pid: self._examine(pid) for pid in waiting})

    def close(self) -> None:
        """Release the sockets."""
        self.namespaces.close()

    def _resolve(self) -> AbstractSet[int]:
        """Find the sockets and their holders; returns the processes that moved."""
        self._dump()
        self.owners.resolve(self._sockets.keys())
        found, moved = self.namespaces.note_processes()
        if found or self.owners.newly_unowned:
            # Closed since the dump, or opened by a process that appeared since /proc was listed,
            # or in a namespace that was not known.
            self._dump()
            self.owners.resolve(self._sockets.keys(), again=True)
        return moved

    def _dump(self) -> None:
        """Take in what differs from the dump before."""
        self.dumped = self.namespaces.dump(ALL_TABLES if self._scope.connections else TABLES)
        went: dict[int, BoundSocket] = {}
        for each in self.dumped.went:
            if not each.inode:
                self._kernels[each] -= 1
            elif self._sockets.get(each.inode) is each:
                went[each.inode] = self._sockets.pop(each.inode)
        for each in self.dumped.came:
            if not each.inode:
                self._kernels[each] += 1
            elif went.get(each.inode) != each:  # else only the length of its queue differs
                self._differing.add(each.inode)
            if each.inode:
                self._sockets[each.inode] = each
        self._kernels = +self._kernels

    def _walk_again(self, doubtful: Iterable[int]) -> None:
        """Look at what these hold now, if they are known; what ends may still hold all it had."""
        now_s = time.monotonic()
        self._ending = {pid: due for pid, due in self._ending.items() if due > now_s}
        for pid in doubtful:
            if pid in self.known:
                self.owners.look_at(pid)
                if _is_ending(pid):
                    self._ending[pid] = now_s + _ENDING_S

    def _suspects(self, doubtful: Iterable[int]) -> set[int]:
        """Known processes that run another program than they did."""
        in_turn = islice((key for key in self._turn.over(self.known) if key > 0), _EXES_CHECKED)
        asked = [*self.processes.fresh - self.processes.appeared, *doubtful]
        suspects = {pid for pid in asked if self._differs(pid, arguments=True)}
        for number, pid in enumerate(in_turn):
            if self._differs(pid, arguments=number < _ARGUMENTS_CHECKED):
                suspects.add(pid)
        return suspects

    def _differs(self, pid: int, *, arguments: bool) -> bool:
        known = self.known.get(pid)
        if known is None:
            return self._scope.portless
        facts = known.facts
        return facts is not None and (
            read_exe(pid) != facts.exe or (arguments and read_argv(pid) != facts.argv)
        )

    def _examine(self, pid: int) -> Observed | None:
        """The process as it is now; None if it ended or there is nothing to tell."""
        inodes = self.owners.held_by(pid)
        if pid not in self.processes.pids or not (inodes or self._scope.portless):
            return None
        try:
            facts = read_facts(pid, self._languages, self._siblings)
        except ProcessGone:
            return None
        old = self.known.get(pid)
        same_life = old and old.facts and old.facts.identity == facts.identity
        if same_life and time.monotonic() < self._ending.get(pid, 0.0):
            self._look_later(pid, _RETRY_S)
            return old
        if not same_life and not self._is_ready(facts, has_ports=bool(inodes)):
            return None
        sockets = [self._sockets[inode] for inode in sorted(inodes) if inode in self._sockets]
        return observed(facts, self.namespaces.of(pid), sockets)

    def _is_ready(self, facts: ProcessFacts, *, has_ports: bool) -> bool:
        """Whether a new process already is what it is going to be; else it is looked at later."""
        wait_s = 0.0
        if facts.exe in ("", "/"):
            wait_s = _RETRY_S
        elif facts.has_not_exec_ed:
            wait_s = _FORK_GRACE_S - age_s(facts.identity)
        if not has_ports:
            wait_s = max(wait_s, self._min_process_age_s - age_s(facts.identity))
        if wait_s <= 0:
            return True
        self._look_later(facts.identity.pid, max(wait_s, _RETRY_S))
        return False

    def _look_later(self, pid: int, wait_s: float) -> None:
        self._not_ready.add(pid)
        self.retry_s = wait_s if self.retry_s is None else min(self.retry_s, wait_s)

    def _unowned(self) -> dict[int, Observed | None]:
        """The sockets of each namespace that no visible process holds, by key."""
        groups: dict[int, list[BoundSocket]] = {}
        unowned = (self._sockets[inode] for inode in self.owners.unowned)
        for each in (*unowned, *self._kernels):
            groups.setdefault(each.netns, []).append(each)
        found: dict[int, Observed | None] = dict.fromkeys(self._unowned_told)
        for netns, sockets in groups.items():
            sockets.sort(key=attrgetter("inode", "port", "proto", "address"))
            found[-netns] = observed(None, netns, sockets)
        self._unowned_told = {-netns for netns in groups}
        return found

    def _note(self, now: Mapping[int, Observed | None]) -> list[Event[Observed]]:
        """Compare with what was told before, and remember."""
        gone: list[Event[Observed]] = []
        others: list[Event[Observed]] = []
        known = dict(self.known)
        for key, new in now.items():
            old = known.get(key)
            if old == new:
                continue
            if old and (new is None or new.identity != old.identity):
                gone.append(Event("deleted", known.pop(key)))
                old = None
            if new:
                known[key] = new
                others.append(Event("changed" if old else "created", new))
        if gone or others:
            self.known = known
        return gone + others


def _is_ending(pid: int) -> bool:
    try:
        stat = read_stat(pid)
    except (ProcessGone, PermissionError):
        return False
    return stat.is_ending and stat.state not in _DEAD
