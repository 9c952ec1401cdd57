"""Values as tests look at them: what mypy should not conclude from an assertion, or ask for."""

from __future__ import annotations

from typing import Any, TypeVar

from engine.core.records import Record

T = TypeVar("T")


def now(value: T) -> T:
    """A value as it is at this moment.

    `assert not timer.running` makes mypy hold that it never runs, whatever is called afterwards;
    `assert not now(timer.running)` does not.
    """
    return value


def json_of(record: Record) -> dict[str, Any]:
    """A record as JSON, for looking deep into its values: what is not there fails the test."""
    return dict(record.as_json())
