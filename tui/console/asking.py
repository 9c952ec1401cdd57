"""The way to the screen for questions, and what is remembered between two visits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.engine import Engine

if TYPE_CHECKING:
    from tui.console.screens.query import QueryScreen
    from tui.console.widgets.sql_area import QuestionHistory


class Questions:
    """Opens the screen for questions.

    Args:
        engine: What is asked.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._history: QuestionHistory | None = None

    def screen(self) -> QueryScreen:
        """The screen, with the questions that were asked on it before."""
        # Loaded when it is wanted: SQLite and an editor, which the first paint does not need.
        from tui.console.screens.query import QueryScreen
        from tui.console.widgets.sql_area import QuestionHistory

        if self._history is None:
            self._history = QuestionHistory()
        return QueryScreen(self._engine, self._history)
