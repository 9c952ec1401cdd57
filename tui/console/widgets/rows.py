"""The rows of a list, whatever they look like: which there are, and which are chosen of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable
from typing import Generic

from engine.core.filters import Filter
from engine.core.records import Record
from tui.console.scope import Scope
from tui.console.widgets.columns import Remark, RowT


class Rows(Generic[RowT]):
    """Rows known by position and by key, chosen by a filter and a scope."""

    filter: Filter | None = None
    """What chooses the rows, as far as somebody filters them."""
    scope: Scope | None = None
    """The process whose rows are shown; None for those of all."""

    @property
    @abstractmethod
    def row_count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def row_at(self, index: int) -> RowT:
        """The row at a position, 0 on top."""

    @abstractmethod
    def row_key(self, row: RowT) -> Hashable:
        """What identifies a row."""

    @abstractmethod
    def index_of(self, key: Hashable) -> int | None:
        """Where the row of that key is now; None when it is gone."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the records behind the rows; empty where rows cannot be filtered."""
        return ()

    def record_of(self, row: RowT) -> Record | None:
        """The record behind a row, if it is one or has one."""
        record = row if isinstance(row, Record) else getattr(row, "record", None)
        return record if isinstance(record, Record) else None

    def remark(self, row: RowT) -> Remark | None:
        """What stands in a row instead of the cells right of a column; None for the cells."""
        return None

    # Order.

    def sort_name(self) -> str:
        """Name of the column the rows are sorted by; empty for their own order."""
        return ""

    @property
    def descending(self) -> bool:
        """Whether they are sorted the other way round."""
        return False

    # Choice.

    @property
    def filter_counts(self) -> tuple[int, int]:
        """How many rows the filter has chosen, and of how many."""
        return (self.row_count, self.row_count)

    def set_filter(self, filter_: Filter | None) -> None:
        """Show the rows that a filter chooses only, or all again."""
        self.filter = filter_
        self.refilter()

    def enter_scope(self, scope: Scope) -> None:
        """Show the rows of one process only."""
        self.scope = scope
        self.refilter()

    def leave_scope(self, outer: Scope | None) -> None:
        """Show the rows of the scope around it, or of all processes."""
        self.scope = outer
        self.refilter()

    def refilter(self) -> None:
        """Choose the rows anew; the filter or the scope is another one."""
