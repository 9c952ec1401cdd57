"""Which records of a stream are shown: those of one owner, in a scope, chosen by a filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.filters import Filter
from engine.core.records import Record
from tui.console.scope import Scope


class Chosen(NamedTuple):
    """What a choice made of some records."""

    records: list[Record]
    asked: int
    """How many the filter was asked about."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Everything a record has to pass."""

    only: Callable[[Record], bool] | None = None
    """What the pane shows at all, such as the records of the selected plugin."""
    scope: Scope | None = None
    filter: Filter | None = None

    def __bool__(self) -> bool:
        return not (self.only is None and self.scope is None and self.filter is None)

    def of(self, records: Iterable[Record]) -> Chosen:
        """Those of some records that are shown."""
        only, scope, filter_ = self.only, self.scope, self.filter
        if only is not None:
            records = filter(only, records)
        if scope is not None:
            records = filter(scope.shows, records)
        asked = list(records)
        wanted = [one for one in asked if filter_.matches(one)] if filter_ else asked
        return Chosen(wanted, len(asked))
