"""Choose a theme, with everything shown in it meanwhile."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tui.console.keymap import with_keys
from tui.console.keys import THEME_KEYS
from tui.console.themes import THEMES, about

_NAME = 22


class ThemeScreen(ModalScreen[str | None]):
    """A list of themes; gives the one that is wanted, None to keep the former.

    Args:
        present: The theme in force.
    """

    CSS_PATH = "themes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*THEME_KEYS]

    def __init__(self, present: str) -> None:
        super().__init__()
        self._present = present
        self._names = list(THEMES)
        options = (
            Option(Content.assemble((name.ljust(_NAME), "bold"), (about(theme), "dim")))
            for name, theme in THEMES.items()
        )
        self.list = OptionList(*options, id="theme-list")

    def compose(self) -> ComposeResult:
        """A frame with the list, which leaves most of what is behind in view."""
        with Vertical(id="themes") as frame:
            frame.border_title = "Theme"
            frame.border_subtitle = with_keys(
                self.app, "enter takes it · {theme.close} keeps the former"
            )
            yield self.list

    def on_mount(self) -> None:
        """Begin with the one in force."""
        if self._present in self._names:
            self.list.highlighted = self._names.index(self._present)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Show everything in it."""
        event.stop()
        self.app.theme = self._names[event.option_index]

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """It is wanted."""
        event.stop()
        self.dismiss(self._names[event.option_index])

    def action_close(self) -> None:
        """Back to the former."""
        self.app.theme = self._present
        self.dismiss(None)
