"""Entering and leaving scopes: what the panes show, and what the kernel is to deliver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.core.errors import BoxscopeError, ProbeError
from engine.engine import Engine
from tui.console.scope import Process, Scope
from tui.console.screens.main import MainScreen, Place

_LOOKS = 3
"""Times the tree is looked at again for children born while the kernel was being told."""


class Scoping:
    """The way from all processes to one, and back.

    Args:
        engine: Knows the processes and delivers their events; asked off the UI's thread.
        main: Shows what belongs to the scope.
        commands: Held while subscriptions and scopes of the engine change.
        complain: Tells of a refusal.
    """

    def __init__(
        self,
        engine: Engine,
        main: MainScreen,
        commands: asyncio.Lock,
        complain: Callable[[BoxscopeError], None],
    ) -> None:
        self._engine = engine
        self._main = main
        self._commands = commands
        self._complain = complain
        self._looking = False
        self._by_hand = False
        """Whether the kernel has to be told of every child."""

    async def enter(self, process: Process, *, tree: bool, place: Place) -> None:
        """Show a process only, alone or with all that descend from it.

        Args:
            process: The process.
            tree: Whether its descendants belong to it.
            place: Where to be brought back to.
        """
        descendants = self._engine.process_tree(process.pid) if tree else None
        if descendants is not None:
            await asyncio.to_thread(descendants.look)
        self._main.enter_scope(Scope(process, descendants), place)
        await self._tell_kernel()

    async def leave(self) -> Place | None:
        """Show what was shown before; gives the place to go back to."""
        place = self._main.leave_scope()
        await self._tell_kernel()
        return place

    @property
    def has_to_keep_up(self) -> bool:
        """Whether other processes can belong to the scope than did a moment ago."""
        scope = self._main.scope
        return scope is not None and scope.tree is not None and not self._looking

    async def keep_up(self) -> None:
        """Take over which processes belong to the tree now."""
        scope = self._main.scope
        if scope is None or scope.tree is None:
            return
        self._looking, before = True, scope.pids
        try:
            await asyncio.to_thread(scope.tree.look)
        finally:
            self._looking = False
        if scope is self._main.scope and scope.pids != before:
            self._main.scope_has_changed()
            if self._by_hand:
                await self._tell_kernel()

    # The kernel.

    async def _tell_kernel(self) -> None:
        """Have it deliver what the scope needs and nothing else."""
        async with self._commands:
            scope, outer = self._main.scope, self._main.outer_scopes
            try:
                await asyncio.to_thread(self._set_pids, scope, outer)
            except BoxscopeError as error:
                self._complain(error)

    def _set_pids(self, scope: Scope | None, outer: tuple[Scope, ...]) -> None:
        self._by_hand = False
        snapshot = self._engine.snapshot()
        if snapshot.source_label != "live" or "probe" not in snapshot.sources:
            return
        for other in outer:
            other.trust_kernel_until(snapshot.wall_ns)
        if scope is None or scope.tree is None:
            self._engine.set_pids(scope.pids if scope else frozenset())
            return
        if self._follow(scope):
            scope.trust_kernel_from(self._engine.snapshot().wall_ns)

    def _follow(self, scope: Scope) -> bool:
        """Have a whole tree delivered; False where this kernel follows no children."""
        assert scope.tree is not None
        try:
            self._engine.set_pids(scope.pids, follow=True)
        except ProbeError:
            self._engine.set_pids(scope.pids)
            self._by_hand = True
            return False
        for _ in range(_LOOKS):
            before = scope.pids
            if scope.tree.look() <= before:
                break
            self._engine.set_pids(scope.pids, follow=True)
        return True
