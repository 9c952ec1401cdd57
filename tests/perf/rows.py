"""What a benchmark has found, as rows of the one table that `make bench` ends with."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One budget, and what was measured against it."""

    what: str
    budget: str
    """At least or at most what; empty for a figure that has no budget."""
    measured: str
    peers: str = ""
    """What others take for the same, or why there is no figure of theirs."""
    holds: bool | None = None
    """Whether the budget is kept; None without one."""


def ratio(one: float, other: float) -> str:
    """How many times as much, for people."""
    return f"{one / other:.2f}" if other else "-"
