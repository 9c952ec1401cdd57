"""The strip that names the panes while one is shown at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

_MARGIN = 2
"""Cells between the tabs and what stands right of them, and behind that."""


class Tab(NamedTuple):
    """One pane in the strip."""

    number: int
    label: str
    active: bool
    troubled: bool
    """Whether a source of the pane failed or is degraded."""

    @property
    def text(self) -> str:
        """What the strip shows; brackets tell the active pane without colour."""
        text = f"{self.number} {self.label}" + ("!" if self.troubled else "")
        return f"[{text}]" if self.active else f" {text} "


class TabStrip(Widget):
    """One line: `[1 Plugins] 2 Ports  3 Events!  4 Traffic`."""

    ALLOW_SELECT = False

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__()
        self._tabs: tuple[Tab, ...] = ()
        self._note = ""

    def show(self, tabs: Sequence[Tab]) -> None:
        """Take over the panes."""
        if tuple(tabs) != self._tabs:
            self._tabs = tuple(tabs)
            self.refresh()

    @property
    def room(self) -> int:
        """Cells right of the tabs."""
        return max(0, self.size.width - sum(len(tab.text) for tab in self._tabs) - _MARGIN)

    def show_note(self, text: str) -> None:
        """Write something right of the tabs, where it fits."""
        if text != self._note:
            self._note = text
            self.refresh()

    def render(self) -> Content:
        """The strip."""
        tabs = Content("").join(
            Content.styled(tab.text, "bold reverse" if tab.active else "") for tab in self._tabs
        )
        if not self._note or len(self._note) > self.room:
            return tabs
        return Content.assemble(tabs, (self._note.rjust(self.room + 1), "dim"))

    def on_click(self, event: events.Click) -> None:
        """Go to the pane whose tab was hit."""
        right = 0
        for tab in self._tabs:
            right += len(tab.text)
            if event.x < right:
                self.post_message(self.Chosen(tab.number))
                return
