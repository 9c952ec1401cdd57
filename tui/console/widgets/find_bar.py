"""The line one looks for rows with, which hides none of them."""

from __future__ import annotations

import re

from engine.core.filters import Completion, Filter
from tui.console.widgets.filter_bar import FilterBar

_OPERATORS = re.compile(r"""[=<>~"'()\[\]]""")


class FindBar(FilterBar):
    """What is looked for: any text, or a condition as one filters with."""

    prompt = "find "
    hint = "any text, or a condition: errno == ENOENT. {row.next} next, {row.before} the one before"

    class Changed(FilterBar.Changed):
        """Something else is looked for; None for nothing."""

    def say_outcome(self, text: str) -> None:
        """Tell what came of going to the next one."""
        self.say_beside(f" {text}" if text else "")

    def make(self, text: str) -> Filter:
        """What a text looks for; one without any operator means itself."""
        if _OPERATORS.search(text):
            return super().make(text)
        return super().make(f'"{text.strip()}"')

    def completions(self) -> list[Completion]:
        """What may come next in a condition."""
        return super().completions() if _OPERATORS.search(self.input.value) else []
