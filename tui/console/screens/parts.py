"""A screen over the panes that shows several parts: all at once, or one where room is scarce."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static

from engine.core.records import Record
from engine.core.snapshot import Snapshot
from tui.console.keys import PART_KEYS, SUBJECT_KEYS
from tui.console.reader import RecordReader
from tui.console.widgets.entry import TextInput
from tui.console.widgets.keyline import KeyLine
from tui.console.widgets.list_tools import ListTools
from tui.console.widgets.selection import SelectsLines
from tui.console.widgets.tabs import Tab, TabStrip

ALL_HEIGHT = 30
"""Lines below which one part is shown at a time."""


def update_lines(static: Static, content: Content) -> None:
    """Show other lines; the screen is arranged anew, which is dear, only if it has to be."""
    lines, width = content.plain.splitlines(), static.size.width
    same_number = len(lines) == len(str(static.content).splitlines())
    static.update(content, layout=not same_number or any(cell_len(line) > width for line in lines))


class Part(Vertical):
    """A frame with a heading around widgets, the first of which is focused."""

    class TitleClicked(Message):
        """Somebody wants to see this part alone."""

        def __init__(self, part: Part) -> None:
            super().__init__()
            self.part = part

    def __init__(self, heading: str, *widgets: Widget, part_id: str) -> None:
        super().__init__(*widgets, id=part_id)
        self.heading = heading
        self.target = widgets[0]

    def on_click(self, event: events.Click) -> None:
        """A click on the title, in the border, zooms."""
        if event.widget is self and event.y == 0 and self.styles.border_top[0]:
            self.post_message(self.TitleClicked(self))


class PartsScreen(SelectsLines, ListTools, ModalScreen[None], inherit_bindings=False):
    """Covers the panes; knows which part is active and whether it is shown alone."""

    CSS_PATH = "parts.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*PART_KEYS, *SUBJECT_KEYS]
    all_width: ClassVar[int] = 100
    """Columns below which one part is shown at a time."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__()
        self.parts = tuple(parts)
        self.headline = Static(id="headline", markup=False)
        self.tabs = TabStrip()
        self.keys = KeyLine()
        self.alone = False
        self._said = Content("")
        self._progress = ""
        self._active = 0
        self.make_tools()

    def compose(self) -> ComposeResult:
        """Top to bottom."""
        yield self.headline
        yield self.tabs
        with Container(id="parts"):
            yield from self.parts
        yield from self.compose_tools()
        yield self.keys

    @property
    def subject(self) -> Record | None:
        """The record the screen is about, if it is about one."""
        return None

    @property
    def active(self) -> Part:
        """The part the keys act on."""
        return self.parts[self._active]

    @property
    def small(self) -> bool:
        """Whether the screen has no room for all parts."""
        return self.size.width < self.all_width or self.size.height < ALL_HEIGHT

    @property
    def single(self) -> bool:
        """Whether one part is shown at a time."""
        return self.alone or self.small

    def is_busy_with(self, group: str) -> bool:
        """Whether a worker of this screen's is at it."""
        return any(
            worker.group == group and worker.node is self and not worker.is_finished
            for worker in self.workers
        )

    # Showing; what a screen does not show it leaves out.

    def show(self, snapshot: Snapshot) -> None:
        """Take over a snapshot."""

    def pull(self, reader: RecordReader) -> None:
        """Let what is in view take in what is new."""

    def say(self, headline: Content) -> None:
        """Write the line on top."""
        self._said = headline
        self._write_headline()

    def show_progress(self, text: str) -> None:
        """Tell before the line on top what takes long; nothing if nothing does."""
        if text != self._progress:
            self._progress = text
            self._write_headline()

    def _write_headline(self) -> None:
        progress = (f" {self._progress} ", "bold $text-accent") if self._progress else ""
        self.headline.update(Content.assemble(progress, self._said), layout=False)

    # Arranging.

    def on_mount(self) -> None:
        """Begin with the active part."""
        self.rearrange()
        self.set_focus(self.active.target)

    def on_resize(self, event: events.Resize) -> None:
        """Change between all parts and one as the room allows."""
        self.rearrange()

    def rearrange(self) -> None:
        """Show what is to be shown and mark what is active."""
        self.set_class(self.single, "-single")
        for number, part in enumerate(self.parts, 1):
            active = part is self.active
            part.set_class(active, "-active")
            part.display = active or not self.single
            part.border_title = f"{'► ' if active else ''}{number} {part.heading}"
        self.tabs.show(
            [
                Tab(number, part.heading, part is self.active, False)
                for number, part in enumerate(self.parts, 1)
            ]
        )
        self.refresh_bindings()

    def go(self, number: int) -> None:
        """Make a part the active one."""
        self._active = (number - 1) % len(self.parts)
        self.rearrange()
        self.set_focus(self.active.target)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """The part that got the focus is the active one."""
        if not isinstance(event.widget, TextInput):
            self.offer_tools_for(event.widget)
        for position, part in enumerate(self.parts):
            if part in event.widget.ancestors_with_self and position != self._active:
                self._active = position
                self.rearrange()

    def on_tab_strip_chosen(self, message: TabStrip.Chosen) -> None:
        """A tab was clicked; that of the part shown alone leads back to all."""
        message.stop()
        if self.alone and not self.small and self.parts[message.number - 1] is self.active:
            self.action_all_parts()
        else:
            self.go(message.number)

    def on_part_title_clicked(self, message: Part.TitleClicked) -> None:
        """Show the part alone; then its tab leads back."""
        message.stop()
        self.action_part(self.parts.index(message.part) + 1)

    # Keys.

    def action_part(self, number: int) -> None:
        """Show one part alone."""
        self.alone = True
        self.go(number)

    def action_all_parts(self) -> None:
        """Show all parts."""
        self.alone = False
        self.go(self._active + 1)

    def action_next_part(self, step: int) -> None:
        """Go to another part."""
        self.go(self._active + 1 + step)

    def action_close(self) -> None:
        """Back from one part to all, else to where the screen was opened."""
        if self.alone and not self.small:
            self.action_all_parts()
        else:
            self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        if action == "part":
            return parameters[0] in range(1, len(self.parts) + 1)
        if action == "all_parts":
            return self.alone and not self.small
        return True
