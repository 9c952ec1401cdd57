"""What is wrong with a filter, and where."""

from __future__ import annotations

from engine.core.errors import UsageError


class FilterError(UsageError):
    """A filter expression that means nothing.

    Args:
        expression: The whole expression.
        start: Column of the first wrong character, from 0.
        end: Column after the last one.
        problem: What is wrong with it.
        hint: What to write instead; may be empty.
    """

    def __init__(self, expression: str, start: int, end: int, problem: str, hint: str = "") -> None:
        self.expression = expression
        self.start = start
        self.end = max(end, start + 1)
        self.problem = problem
        super().__init__(
            f"the filter is wrong at column {start + 1}: {problem}\n"
            f"  {_one_line(expression)}\n"
            f"  {self.pointer}",
            fix=hint,
        )
        self.hint = hint

    @property
    def pointer(self) -> str:
        """Carets that stand under the wrong part, when printed below the expression."""
        return " " * self.start + "^" * (self.end - self.start)

    def __str__(self) -> str:
        return f"{self.message}\n  {self.hint}" if self.hint else self.message


def _one_line(expression: str) -> str:
    """The expression with every character one column wide, so that carets stand under it."""
    return "".join(char if char.isprintable() else " " for char in expression)
