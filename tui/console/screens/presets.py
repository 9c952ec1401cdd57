"""Choose a preset: a named set of subscriptions to switch on or off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.console.keymap import with_keys
from tui.console.keys import PRESET_KEYS
from tui.console.widgets.columns import cell

_NAME = 14
_COUNT = 9


class Choice(NamedTuple):
    """A preset with how much of it is on."""

    name: str
    help: str
    on: int
    switches: int


class PresetScreen(ModalScreen[tuple[str, bool] | None]):
    """A list to choose from; the result is a name and whether to switch it on."""

    CSS_PATH = "presets.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*PRESET_KEYS]

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._choices = tuple(choices)
        self.list = OptionList(*(Option(_line(choice)) for choice in choices), id="preset-list")

    def compose(self) -> ComposeResult:
        """A frame with the list."""
        with Vertical(id="presets") as frame:
            frame.border_title = "Presets"
            frame.border_subtitle = with_keys(
                self.app, "enter on · {preset.off} off · {preset.close} closes"
            )
            yield self.list

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Switch it on."""
        event.stop()
        self.dismiss((self._choices[event.option_index].name, True))

    def action_off(self) -> None:
        """Switch it off."""
        index = self.list.highlighted
        if index is not None:
            self.dismiss((self._choices[index].name, False))

    def action_close(self) -> None:
        """Change nothing."""
        self.dismiss(None)


def _line(choice: Choice) -> Content:
    symbol = "○" if not choice.on else "●" if choice.on == choice.switches else "◐"
    counts = cell(f"{choice.on}/{choice.switches}", _COUNT, "right")
    return Content.assemble(
        f"{symbol} ",
        (cell(choice.name, _NAME), "bold"),
        (counts, "dim"),
        f"  {choice.help}",
    )
