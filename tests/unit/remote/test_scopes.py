"""One kernel filter for several consoles: it lets through what any of them wants."""

from __future__ import annotations

import pytest

from engine.core.errors import ProbeError
from engine.remote.scopes import Scopes, Wish

ALL = frozenset[int]()


class Kernel:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[frozenset[int], bool]] = []
        self.refuses = False

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        if self.refuses:
            raise ProbeError("too many")
        self.told.append((pids, follow))


def pids(*several: int) -> Wish:
    return Wish(frozenset(several))


def test_the_filter_is_what_all_want_together() -> None:
    kernel = Kernel()
    scopes = Scopes(kernel.set_pids)
    scopes.enter("a")
    scopes.wish("a", pids(1))
    assert kernel.told == [(frozenset({1}), False)]
    scopes.enter("b")
    assert kernel.told[-1] == (ALL, False)
    scopes.wish("b", Wish(frozenset({2}), follow=True))
    assert kernel.told[-1] == (frozenset({1, 2}), True)
    scopes.leave("a")
    assert kernel.told[-1] == (frozenset({2}), True)
    scopes.leave("b")
    assert kernel.told[-1] == (ALL, False)


def test_nobody_who_only_comes_and_goes_changes_anything() -> None:
    kernel = Kernel()
    scopes = Scopes(kernel.set_pids)
    scopes.enter("a")
    scopes.leave("a")
    scopes.leave("a")
    assert kernel.told == []


def test_who_wants_all_gets_what_the_engine_was_started_for() -> None:
    kernel = Kernel()
    scopes = Scopes(kernel.set_pids, frozenset({9}))
    scopes.enter("a")
    scopes.wish("a", pids(1))
    scopes.wish("a", pids())
    assert kernel.told == [(frozenset({1}), False), (frozenset({9}), False)]


def test_a_wish_that_is_refused_was_never_had() -> None:
    kernel = Kernel()
    scopes = Scopes(kernel.set_pids)
    scopes.enter("a")
    scopes.enter("b")
    scopes.wish("a", pids(1))
    kernel.refuses = True
    with pytest.raises(ProbeError):
        scopes.wish("b", pids(2))
    kernel.refuses = False
    scopes.wish("a", pids(3))
    assert kernel.told[-1] == (ALL, False)
