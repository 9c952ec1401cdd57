"""The catalogue of subscribable events, under Kindling's names, type ids and categories."""

from __future__ import annotations

import difflib
from typing import NamedTuple

from engine.core.errors import UsageError
from engine.probe.call_events import CALL_EVENTS
from engine.probe.calls import BY_FD, Category
from engine.probe.events import Event
from engine.probe.hooks import HOOKS


class Cell(NamedTuple):
    """One switch of the matrix."""

    event: Event
    category: Category


EVENTS: tuple[Event, ...] = (
    *CALL_EVENTS,
    *HOOKS,
)
"""Every event, in the order it is listed."""

_BY_NAME = {event.name: event for event in EVENTS}

CELLS: tuple[Cell, ...] = tuple(
    Cell(event, category) for event in EVENTS for category in event.columns
)
"""Every switch there is, in the order it is listed."""

STORY: tuple[tuple[str, str], ...] = (
    ("syscall_exit-execve", ""),
    ("tracepoint-procexit", ""),
    ("syscall_exit-openat", ""),
    ("syscall_exit-connect", ""),
    ("syscall_exit-accept", ""),
    ("syscall_exit-accept4", ""),
    ("kprobe-tcp_set_state", ""),
)
"""Subscriptions that tell what a box is doing, as (name, category); rare enough to read along."""


def resolve(name: str, category: str = "") -> tuple[Cell, ...]:
    """The cells a subscription means.

    Args:
        name: Subscription name.
        category: One of the event's categories; empty means all of them.

    Raises:
        UsageError: if there is no such event, or it never has that category.
    """
    event = _BY_NAME.get(name)
    if event is None:
        raise UsageError(f"unknown event {name!r}", fix=f"nearest: {', '.join(nearest(name))}")
    if not category:
        return tuple(Cell(event, each) for each in event.columns)
    for each in event.columns:
        if each.label == category:
            return (Cell(event, each),)
    if any(each.label == category for each in event.accepts):
        return tuple(Cell(event, each) for each in event.columns)
    raise UsageError(
        f"{name} has no category {category!r}", fix=f"valid: {', '.join(event.categories)}"
    )


def unavailable(cell: Cell, missing: dict[str, str]) -> str:
    """Why a kernel that lacks those features cannot deliver the cell; empty if it can.

    Args:
        cell: The switch.
        missing: Absent features with the member of the kernel's structures that is absent.
    """
    if cell.event.absent:
        return cell.event.absent
    needs = cell.event.needs
    if cell.event.columns == BY_FD and cell.category is not Category.OTHER:
        needs = (*needs, "FD")
    absent = [missing[feature] for feature in needs if feature in missing]
    return f"this kernel has no {', '.join(absent)}" if absent else ""


def nearest(name: str, count: int = 5) -> list[str]:
    """The subscription names most like `name`, whole or without their prefix."""

    def likeness(candidate: str) -> float:
        point = candidate.partition("-")[2]
        return max(
            difflib.SequenceMatcher(None, name, candidate).ratio(),
            difflib.SequenceMatcher(None, name, point).ratio(),
        )

    return sorted(_BY_NAME, key=likeness, reverse=True)[:count]
