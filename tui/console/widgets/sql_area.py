"""A question in SQL to type: completed, with the earlier ones at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message

from engine.core.filters.completion import Completion
from engine.recording.query import Relation
from engine.recording.words import complete_sql
from tui.console.keys import SQL_KEYS
from tui.console.paths import beginning_of_all
from tui.console.widgets.area import CleanArea

_KEPT = 100


class QuestionHistory:
    """The questions that were asked, the newest last, and where one is among them."""

    def __init__(self) -> None:
        self._asked: list[str] = []
        self._at = 0
        self._draft = ""

    def add(self, sql: str) -> None:
        """A question is being asked."""
        if sql in self._asked:
            self._asked.remove(sql)
        self._asked = [*self._asked, sql][-_KEPT:]
        self._at = len(self._asked)

    @property
    def last(self) -> str:
        """The newest one; empty without any."""
        return self._asked[-1] if self._asked else ""

    def go(self, step: int, now: str) -> str | None:
        """The one before (-1) or after (1); None where there is none.

        Args:
            step: Which way.
            now: What is written now; kept while one looks at earlier ones.
        """
        at = self._at + step
        if not 0 <= at <= len(self._asked):
            return None
        if self._at == len(self._asked):
            self._draft = now
        self._at = at
        return self._asked[at] if at < len(self._asked) else self._draft


class SqlArea(CleanArea):
    """A question being written."""

    BINDINGS: ClassVar[list[BindingType]] = [*SQL_KEYS]

    class Left(Message):
        """There is nothing to complete: somebody wants to go on."""

    def __init__(self, history: QuestionHistory, *, widget_id: str) -> None:
        super().__init__(history.last, compact=True, highlight_cursor_line=False, id=widget_id)
        self.relations: Sequence[Relation] = ()
        """What is completed; filled when it is known."""
        self._questions = history

    @property
    def offset_of_cursor(self) -> int:
        """Characters before the cursor."""
        row, column = self.cursor_location
        return sum(len(line) + 1 for line in self.text.split("\n")[:row]) + column

    def go_to(self, offset: int) -> None:
        """Put the cursor behind so many characters."""
        before = self.text[:offset].split("\n")
        self.move_cursor((len(before) - 1, len(before[-1])))

    def write(self, sql: str) -> None:
        """Put another question in its place; can be undone."""
        self.replace(sql, (0, 0), self.document.end)
        self.move_cursor(self.document.end)

    def completions(self) -> list[Completion]:
        """What may come next at the cursor."""
        return complete_sql(self.text, self.offset_of_cursor, self.relations)

    def action_complete(self) -> None:
        """Complete the word at the cursor as far as all that may follow agree."""
        found = self.completions()
        first = found[0] if found else None
        if first is None or not (first.end > first.start or len(found) == 1):
            self.post_message(self.Left())
            return
        common = beginning_of_all(sorted(each.text for each in found))
        text = first.text + " " if len(found) == 1 else common
        if len(text) > first.end - first.start:
            self.go_to(first.start)
            begin = self.cursor_location
            self.go_to(first.end)
            self.replace(text, begin, self.cursor_location)

    def action_earlier(self, step: int) -> None:
        """Write an earlier question, or a later one."""
        sql = self._questions.go(step, self.text)
        if sql is not None:
            self.write(sql)
