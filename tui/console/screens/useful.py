"""Choose one of the useful questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from engine.recording.useful import Useful
from tui.console.keymap import with_keys
from tui.console.keys import USEFUL_KEYS


class UsefulScreen(ModalScreen[str | None]):
    """A list to choose from; the result is the question in SQL."""

    CSS_PATH = "useful.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*USEFUL_KEYS]

    def __init__(self, questions: Sequence[Useful]) -> None:
        super().__init__()
        self._questions = tuple(questions)
        self.list = OptionList(
            *(Option(_lines(each)) for each in self._questions), id="useful-list"
        )

    def compose(self) -> ComposeResult:
        """A frame with the list."""
        with Vertical(id="useful") as frame:
            frame.border_title = "Useful questions"
            frame.border_subtitle = with_keys(self.app, "enter asks · {useful.close} closes")
            yield self.list

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Ask it."""
        event.stop()
        self.dismiss(self._questions[event.option_index].sql)


def _lines(question: Useful) -> Content:
    first = " ".join(question.sql.split())
    return Content.assemble((question.title, "bold"), "\n  ", (first, "dim"))
