"""Why a process is selected or not: its facts, and every condition it was tried on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.discovery.lookup import WAYS, find_pid
from engine.engine import Engine
from tui.console.keymap import with_keys
from tui.console.keys import WHY_KEYS
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry

if TYPE_CHECKING:
    from engine.discovery.explain import Explanation

_TONES = (
    ("FAIL ", "bold $text-error"),
    ("fail ", "dim"),
    ("ok ", "$text-success"),
    ("note:", "$text-warning"),
)
"""How a line looks that begins like this; the words say the same."""


def explanation_content(explanation: Explanation) -> Content:
    """The explanation line by line, the verdict first."""
    facts, _, decision = "\n".join(explanation.lines()).partition("\n\n")
    verdict, *rest = decision.split("\n")
    lines = [Content.styled(verdict, "bold"), Content(""), *map(_toned, rest), Content("")]
    return Content("\n").join([*lines, *(Content(line) for line in facts.split("\n"))])


def _toned(line: str) -> Content:
    bare = line.lstrip()
    tone = next((tone for beginning, tone in _TONES if bare.startswith(beginning)), "")
    return Content.styled(line, tone) if tone else Content(line)


class WhyScreen(ModalScreen[bool]):
    """The decision about one process over the panes; gives True if it is to be captured."""

    CSS_PATH = "detail.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*WHY_KEYS]

    def __init__(self, explanation: Explanation) -> None:
        super().__init__()
        self._explanation = explanation

    def compose(self) -> ComposeResult:
        """A frame that scrolls."""
        with VerticalScroll(id="detail") as frame:
            frame.border_title = f"why {self._explanation.facts.identity.pid}"
            frame.border_subtitle = with_keys(
                self.app, "{why.attach} attaches · {why.close} closes"
            )
            yield Static(explanation_content(self._explanation))

    def action_attach(self) -> None:
        """Go back and have it captured."""
        self.dismiss(True)


class WhyDialog(Dialog["Explanation"]):
    """Asks for a process, listed or not; gives the decision about it.

    Args:
        engine: Explains.
    """

    hint = "{dialog.accept} explains · {dialog.cancel} cancels"

    def __init__(self, engine: Engine) -> None:
        super().__init__(
            "Why is a process selected or not?",
            "Any process of this box, whether it owns a port or not.",
            (Entry("process", "Process", hint=WAYS),),
            accept="Explain",
        )
        self._engine = engine

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Something has to be named."""
        return {} if values["process"].strip() else {"process": f"{WAYS} is needed"}

    def act(self, values: Mapping[str, str]) -> Explanation:
        """Find it and look at it."""
        return self._engine.explain(find_pid(values["process"]))
