"""What is asked of the probe: in force in the kernel, or kept until there are programs."""

from __future__ import annotations

from collections.abc import Callable, Set

from engine.core.errors import ProbeError, UsageError
from engine.probe.catalogue import Cell
from engine.probe.filters import Filters
from engine.probe.hook_settings import HookSettings
from engine.probe.schema import SNAPLEN, SNAPLEN_MAX
from engine.probe.session import KernelSession


class Demand:
    """Subscriptions, filters and settings; what the kernel refuses leaves them as they were.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self.wanted: frozenset[Cell] = frozenset()
        """What is subscribed."""
        self.filters = Filters()
        """Which events of that are let through."""
        self._hooks = HookSettings()
        self._snaplen = SNAPLEN
        self._no_following = ""
        """What the kernel lacks for children to be followed."""
        self._session: KernelSession | None = None

    def want(self, cells: frozenset[Cell]) -> None:
        """Have exactly these delivered.

        Raises:
            ProbeError: if the kernel refuses.
        """
        if self._session is not None:
            self._session.apply(cells)
        self.wanted = cells

    def set_filters(self, filters: Filters) -> None:
        """Let only these events through.

        Raises:
            UsageError: ids or names that cannot be, or too many.
            ProbeError: if the kernel refuses, or cannot follow children.
        """
        filters.check()
        if self._session is not None:
            self._filter(self._session, filters)
        self.filters = filters

    def set_snaplen(self, snaplen: int) -> None:
        """Keep as many bytes of what a call reads or writes; 0 for none.

        Raises:
            UsageError: less than none, or more than an event has room for.
            ProbeError: if the kernel refuses.
        """
        if not 0 <= snaplen <= SNAPLEN_MAX:
            raise UsageError(f"a snaplen of {snaplen} cannot be", fix=f"0 to {SNAPLEN_MAX} bytes")
        if self._session is not None:
            self._session.set_snaplen(snaplen)
        self._snaplen = snaplen

    def set_hooks(self, settings: HookSettings) -> None:
        """Settings of events that are no calls.

        Raises:
            ProbeError: if the kernel refuses.
        """
        if self._session is not None:
            self._session.configure(settings)
        self._hooks = settings

    def begin(self, session: KernelSession, no_following: str) -> None:
        """Put all of it in force: the scope before anything else.

        Args:
            session: Where, from now on.
            no_following: What this kernel lacks for children to be followed, if so.

        Raises:
            ProbeError: if the kernel refuses.
        """
        self._no_following = no_following
        self._filter(session, self.filters)
        session.configure(self._hooks)
        session.set_snaplen(self._snaplen)
        session.apply(self.wanted)
        self._session = session

    def end(self) -> None:
        """There are no programs any more, and no subscriptions."""
        self._session = None
        self.wanted = frozenset()

    def _filter(self, session: KernelSession, filters: Filters) -> None:
        if filters.follow and self._no_following:
            raise ProbeError(f"cannot follow children: this kernel has no {self._no_following}")
        session.set_filters(filters)


def left_out(cells: Set[Cell], why_not: Callable[[Cell], str]) -> str:
    """What was subscribed and cannot be delivered, as a sentence."""
    names = sorted({cell.event.name for cell in cells})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    reasons = sorted({why_not(cell) for cell in cells})
    more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
    return f"cannot deliver {shown}: {reasons[0]}{more}"
