"""The dialog that writes records into a file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core.records import Record
from engine.core.sanitise import clean
from engine.recording.export import ExportFacts
from tui.console.format import size
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry, PathEntry

Export = Callable[[Path, Sequence[Record], bool], ExportFacts]
"""Writes records into a file, replacing one of that name or not."""
ALL, SELECTED = "all", "selected"


class Exportable(NamedTuple):
    """What can be written."""

    selected: Record | None
    shown: Sequence[Record]
    left_out: int = 0
    """Records that came too fast to be among those shown."""

    @property
    def about(self) -> str:
        """The choice there is, in words."""
        if self.selected is None:
            return f"{ALL}: the {len(self.shown):,} shown{self._without}; none is selected"
        if not self.shown:
            return f"{SELECTED}: the one this screen is about"
        return f"{ALL}: the {len(self.shown):,} shown{self._without}; or {SELECTED}: the one row"

    @property
    def _without(self) -> str:
        return f", without {self.left_out:,} that were left out" if self.left_out else ""

    def records(self, choice: str) -> Sequence[Record]:
        """Those that are meant; none if there is no such choice."""
        if choice == SELECTED and self.selected is not None:
            return (self.selected,)
        return self.shown if choice == ALL else ()


class ExportDialog(Dialog[ExportFacts]):
    """Asks for a file, and which records; gives what was written.

    Args:
        path: A name to begin with.
        exportable: The records to choose from.
        export: Writes them.
    """

    hint = "tab next · {dialog.accept} writes · {dialog.cancel} cancels"

    def __init__(self, path: str, exportable: Exportable, export: Export) -> None:
        super().__init__(
            "Export",
            "JSON Lines as --json prints them, in a file only you can read; "
            "boxscope replay FILE shows it again.",
            (
                PathEntry("path", "File", value=path, new=True),
                Entry(
                    "rows",
                    "Which",
                    value=ALL if exportable.shown else SELECTED,
                    about=exportable.about,
                ),
            ),
            accept="Write",
        )
        self._exportable = exportable
        self._export = export
        self._may_replace: Path | None = None

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What means nothing; whether a file is to be replaced is asked here, too."""
        problems = {}
        if problem := self._problem_with(values["path"].strip()):
            problems["path"] = problem
        if not self._exportable.records(_choice(values)):
            shown = clean(values["rows"].strip(), 40)
            problems["rows"] = f"{shown!r} means no record here; {self._exportable.about}"
        return problems

    def _problem_with(self, text: str) -> str:
        if not text:
            return "a name for the file is needed"
        try:
            path = Path(text).expanduser()
            found = path.stat()
        except FileNotFoundError:
            parent = path.parent
            if not parent.is_dir():
                return f"there is no directory {clean(str(parent))}"
            return "" if os.access(parent, os.W_OK) else f"{clean(str(parent))} cannot be written"
        except (OSError, RuntimeError, ValueError) as error:
            return clean(f"it cannot be looked at: {error}")
        if not stat.S_ISREG(found.st_mode):
            return "this is no file that could be replaced"
        if path != self._may_replace:
            self._may_replace = path
            return f"there is such a file, {size(found.st_size)}: once more, and it is replaced"
        return ""

    def act(self, values: Mapping[str, str]) -> ExportFacts:
        """Write them."""
        path = Path(values["path"].strip()).expanduser()
        return self._export(
            path, self._exportable.records(_choice(values)), path == self._may_replace
        )


def _choice(values: Mapping[str, str]) -> str:
    return values["rows"].strip().lower()
