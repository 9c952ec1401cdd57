"""Whose kernel events are delivered when several consoles want different ones.

There is one kernel filter. It lets through what any console wants, so it narrows only when all
of them do; each console shows what belongs to its own scope.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import NamedTuple, Protocol

from engine.core.errors import BoxscopeError


class SetPids(Protocol):
    """Has the kernel deliver events of some processes only; of all, if there are none."""

    def __call__(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """As `Engine.set_pids`."""


class Wish(NamedTuple):
    """What one console wants delivered."""

    pids: frozenset[int] = frozenset()
    """The processes; none means all."""
    follow: bool = False


class Scopes:
    """The wishes of all consoles; usable from any thread.

    Args:
        set_pids: Tells the kernel.
        base: What is delivered at most, as the engine was started; none means all.
    """

    def __init__(self, set_pids: SetPids, base: frozenset[int] = frozenset()) -> None:
        self._set_pids = set_pids
        self._base = Wish(base)
        self._wishes: dict[Hashable, Wish] = {}
        self._lock = threading.Lock()
        self._told = Wish(base)

    def enter(self, console: Hashable) -> None:
        """A console is there and wants all."""
        with self._lock:
            self._wishes[console] = Wish()
            if self._told != self._wanted():
                self._tell()

    def wish(self, console: Hashable, wish: Wish) -> None:
        """A console wants something else than before.

        Raises:
            BoxscopeError: the kernel refuses; the wish is as it was.
        """
        with self._lock:
            before = self._wishes.get(console, Wish())
            self._wishes[console] = wish
            try:
                self._tell()
            except BoxscopeError:
                self._wishes[console] = before
                raise

    def leave(self, console: Hashable) -> None:
        """A console is gone, and with it what it wanted."""
        with self._lock:
            if self._wishes.pop(console, None) is None or self._told == self._wanted():
                return
            self._tell()

    def _tell(self) -> None:
        wanted = self._wanted()
        self._set_pids(wanted.pids, follow=wanted.follow)
        self._told = wanted

    def _wanted(self) -> Wish:
        wishes = self._wishes.values()
        if not wishes or not all(wish.pids for wish in wishes):
            return self._base
        pids = frozenset[int]().union(*(wish.pids for wish in wishes))
        return Wish(pids, any(wish.follow for wish in wishes))
