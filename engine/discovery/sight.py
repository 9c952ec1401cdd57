"""How much of the box a scan has seen, and what would let it see the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from engine.core.capabilities import SIGHT, effective, grant, lacking
from engine.core.source import SourceState
from engine.discovery.scanner import Scanner


class Sight(NamedTuple):
    """What the latest scan has seen; everything unless there is a reason."""

    state: SourceState
    reasons: tuple[str, ...] = ()
    """What is not seen."""
    fixes: tuple[str, ...] = ()
    """What would mend that."""


def sight_of(scanner: Scanner) -> Sight:
    """Judge the latest scan by its failures and by what it may not look into."""
    dumped = scanner.dumped
    failures = [*dumped.failures, *scanner.namespaces.lost]
    barred = list(_barred(scanner, failed=bool(failures)))
    state: SourceState = "degraded" if failures or barred else "running"
    if dumped.failures and len(dumped.failures) == dumped.asked:
        state = "failed"
    reasons = [*(each.message for each in failures), *(reason for reason, _ in barred)]
    missing = [right for _, rights in barred for right in rights]
    fixes = [*(each.fix for each in failures), grant(missing, 0)]
    return Sight(state, _each_once(reasons), _each_once(fixes))


def _barred(scanner: Scanner, *, failed: bool) -> Iterator[tuple[str, Sequence[str]]]:
    """What may not be looked into, and the rights it would take."""
    if not failed and scanner.owners.denied and scanner.owners.unowned:
        yield (
            "some ports belong to processes that may not be looked into; they are listed "
            "without a process",
            SIGHT if lacking(SIGHT, effective()) else (),
        )
    if not scanner.namespaces.may_enter:
        yield "other network namespaces than this one are not looked at", ("CAP_SYS_ADMIN",)


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, texts)))
