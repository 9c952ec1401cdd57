"""One row of an answer whole, and the dialog that writes all of them into a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.core.sanitise import clean
from engine.recording.rows import FORMS, Row, cell_text, write_answer
from tui.console.keymap import with_keys
from tui.console.keys import ANSWER_ROW_KEYS
from tui.console.screens.dialog import Dialog
from tui.console.widgets.answers import AnswerRow
from tui.console.widgets.entry import PathEntry

_LONGEST = 20_000
"""Characters of a value that are shown; a file holds all of it."""


def row_content(names: Sequence[str], row: AnswerRow) -> Content:
    """Every value under its name; those that are not there said to be so."""
    width = max(map(len, names), default=0)
    lines = []
    for name, value in zip(names, row.values, strict=True):
        text, tone = ("NULL", "dim") if value is None else (cell_text(value), "")
        more = f"… {len(text) - _LONGEST} more characters" if len(text) > _LONGEST else ""
        title = clean(name).ljust(width)
        lines.append(Content.assemble((title, "bold"), "  ", (text[:_LONGEST], tone), more))
    return Content("\n").join(lines)


class AnswerRowScreen(ModalScreen[None]):
    """A row over the answer.

    Args:
        names: Names of its columns.
        row: The row.
    """

    CSS_PATH = "detail.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*ANSWER_ROW_KEYS]

    def __init__(self, names: Sequence[str], row: AnswerRow) -> None:
        super().__init__()
        self._names = names
        self._row = row

    def compose(self) -> ComposeResult:
        """A frame that scrolls."""
        with VerticalScroll(id="detail") as frame:
            frame.border_title = f"row {self._row.number}"
            frame.border_subtitle = with_keys(self.app, "{answer.close} closes")
            yield Static(row_content(self._names, self._row))


class AnswerExportDialog(Dialog[str]):
    """Asks for a file; gives what was written.

    Args:
        names: Names of the columns.
        rows: The rows, in the order in which they are written.
    """

    hint = "{path.complete} completes · {dialog.accept} writes · {dialog.cancel} cancels"

    def __init__(self, names: Sequence[str], rows: Sequence[Row]) -> None:
        super().__init__(
            "Write the answer into a file",
            f"{len(rows)} rows into a new file only you can read: name.csv or name.jsonl.",
            (PathEntry("path", "File", value="answer.csv"),),
            accept="Write",
        )
        self._names = names
        self._rows = rows

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """The name has to say the form."""
        if Path(values["path"].strip()).suffix.lower() not in FORMS:
            return {"path": "a name that ends with .csv or .jsonl is needed"}
        return {}

    def act(self, values: Mapping[str, str]) -> str:
        """Write it."""
        path = Path(values["path"].strip()).expanduser()
        return f"{path}: {write_answer(path, self._names, self._rows)} rows"
