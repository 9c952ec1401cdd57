"""What is known of a module's file without running it: what `boxscope modules check` says."""

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

from engine.core.progress import Tasks
from engine.core.sanitise import clean
from tui.console.keymap import with_keys
from tui.console.keys import VERDICT_KEYS
from tui.console.paths import problem_with_file
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry, PathEntry
from tui.module_text import conformance_lines, verdict_lines
from tui.opening_text import opening_lines

_TONES = (("  refused", "bold $text-error"), ("  kills", "bold $text-error"))
"""How a line looks that begins like this; the words say the same."""


def judge(file: Path, interface: str, host: str) -> list[str]:
    """The verdict, line by line; executes nothing of the file.

    Raises:
        BoxscopeError: it cannot be read, or the interface is none.
    """
    # Imported here as they read ELF files, which only somebody who has one needs.
    from engine.modules.conformance import conformances
    from engine.modules.filekind import MODULES
    from engine.modules.inspection import inspect
    from engine.modules.opening import open_in_turn
    from engine.modules.signature import parse_interface

    found = inspect(file)
    lines: list[str] = []
    if host:
        (verdict,) = open_in_turn(Path(host).expanduser(), [str(file)])
        lines += [*opening_lines(verdict), ""]
    lines += verdict_lines(found)
    if interface:
        wanted = parse_interface(interface)
        judged = conformances(found, wanted) if found.kind in MODULES else ()
        lines += ["", *conformance_lines(wanted, judged)]
    return lines


def verdict_content(lines: Sequence[str]) -> Content:
    """The lines, the first one and what is refused standing out."""
    first, *rest = [clean(line) for line in lines] or [""]
    return Content("\n").join([Content.styled(first, "bold"), *map(_toned, rest)])


def _toned(line: str) -> Content:
    tone = next((tone for beginning, tone in _TONES if line.startswith(beginning)), "")
    return Content.styled(line, tone) if tone else Content(line)


class VerdictScreen(ModalScreen[None]):
    """The verdict over the panes."""

    CSS_PATH = "detail.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*VERDICT_KEYS]

    def __init__(self, file: str, lines: Sequence[str]) -> None:
        super().__init__()
        self._file = file
        self._lines = lines

    def compose(self) -> ComposeResult:
        """A frame that scrolls."""
        with VerticalScroll(id="detail") as frame:
            frame.border_title = Content(f"verdict on {clean(self._file)}")
            frame.border_subtitle = with_keys(
                self.app, "nothing of it was executed · {verdict.close} closes"
            )
            yield Static(verdict_content(self._lines))


class VerdictDialog(Dialog[VerdictScreen]):
    """Asks for a module's file; gives the screen with the verdict on it.

    Args:
        file: What to begin with.
        tasks: Told while a file is judged.
    """

    hint = "{path.complete} completes, next · {dialog.accept} judges · {dialog.cancel} cancels"

    def __init__(self, file: str, tasks: Tasks) -> None:
        self._tasks = tasks
        super().__init__(
            "Judge a module",
            "Tells what a file is, what it offers and what it can reach. Executes nothing of it.",
            (
                PathEntry("path", "File", value=file, hint="/path/to/module.py or .so"),
                Entry("interface", "Interface", hint="none", about="such as HealthCheck() error"),
                PathEntry(
                    "host", "Go host", hint="none", about="a program that is to open a Go plugin"
                ),
            ),
            accept="Judge",
        )

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Look whether there are such files."""
        found = {}
        if problem := problem_with_file(values["path"]):
            found["path"] = problem
        if values["host"].strip() and (problem := problem_with_file(values["host"])):
            found["host"] = problem
        return found

    def act(self, values: Mapping[str, str]) -> VerdictScreen:
        """Look at it."""
        file = Path(values["path"].strip()).expanduser()
        with self._tasks.begin(f"judging {file.name}"):
            lines = judge(file, values["interface"].strip(), values["host"].strip())
        return VerdictScreen(file.name, lines)
