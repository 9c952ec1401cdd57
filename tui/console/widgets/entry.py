"""One line of text to type in a dialog: with a label, and what is wrong with it underneath."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input, Static

from engine.core.sanitise import clean
from tui.console.keys import PATH_KEYS
from tui.console.opening import run_opening
from tui.console.paths import Completion, complete
from tui.console.widgets.typed import Typed

LONGEST = 1024 * 1024
_CANDIDATE_LINES = 4


class TextInput(Input, Typed):
    """An input that shows, and holds, nothing a terminal would obey, whatever is pasted."""

    def validate_value(self, value: str) -> str:
        """Make control and invisible characters visible."""
        return clean(value, LONGEST)

    async def _on_key(self, event: events.Key) -> None:
        """Let characters go the way of the keys that have actions, up to the application.

        An action is carried out there; a character typed right after it, as over a slow line,
        would come before it if it was taken here.
        """
        if event.is_printable:
            event.prevent_default()

    async def take_up(self, event: events.Key) -> bool:
        """Add a character that has come to its turn, and tell whether it is one."""
        if event.is_printable:
            await super()._on_key(event)
        return event.is_printable


class PathInput(TextInput):
    """An input whose path `tab` completes; it goes on to the next field when it cannot.

    At the end of the path `right` completes it, too, and never leaves the field.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*PATH_KEYS]
    suffix = ""
    """What the names of the files that are offered end with."""

    def action_complete(self) -> None:
        """Complete the path as far as the file system allows."""
        # It may lead to the next field, which is where what is typed next is meant for then.
        run_opening(self, self._complete(), group="completion", name="complete a path")

    def action_cursor_right(self, select: bool = False) -> None:
        """Move on; where there is no further, complete."""
        if not select and self.cursor_position == len(self.value):
            self.run_worker(self._complete(leave=False), group="completion")
        else:
            super().action_cursor_right(select)

    async def _complete(self, *, leave: bool = True) -> None:
        before = self.value
        completion = await asyncio.to_thread(complete, before, self.suffix)
        if self.value != before:
            return
        if completion.text == before:
            if leave:
                self.screen.focus_next()
            return
        self.value = completion.text
        self.cursor_position = len(self.value)


class Field(Vertical):
    """Something to fill in, with a label and a line underneath that says what is wrong with it.

    Args:
        name: What the dialog calls its value.
        label: What stands before it.
        target: What is typed into.
        about: A line underneath as long as nothing is wrong.
    """

    def __init__(self, name: str, label: str, target: Widget, *, about: str = "") -> None:
        super().__init__(name=name)
        self.target = target
        self._label = Static(Content.styled(label, "bold"))
        self._about = about
        self._below = Static(Content.styled(about, "dim"))
        self.problem = ""

    def compose(self) -> ComposeResult:
        """Label, what is typed into, the line underneath."""
        yield self._label
        yield self.target
        yield self._below

    @property
    @abstractmethod
    def value(self) -> str:
        """What has been typed."""

    def complain(self, problem: str) -> None:
        """Say what is wrong with the value; an empty text takes that back."""
        self.problem = problem
        if problem:
            self.say_below(Content.styled(f"✗ {problem}", "$text-error"))
        else:
            self.say_below(Content.styled(self._about, "dim"))

    def say_below(self, content: Content) -> None:
        """Show something underneath."""
        self._below.update(content)

    def mended(self) -> None:
        """What was wrong is being mended."""
        if self.problem:
            self.complain("")


class Entry(Field):
    """A labelled input of one line.

    Args:
        name: What the dialog calls its value.
        label: What stands before it.
        value: What it begins with.
        hint: Shown while it is empty.
        about: A line underneath as long as nothing is wrong.
        instead: Whether what is typed first takes the place of what it begins with.
    """

    def __init__(
        self,
        name: str,
        label: str,
        *,
        value: str = "",
        hint: str = "",
        about: str = "",
        instead: bool = False,
    ) -> None:
        self.input = self.make_input(value, hint)
        self.input.select_on_focus = instead
        super().__init__(name, label, self.input, about=about)

    def make_input(self, value: str, hint: str) -> TextInput:
        """The input itself."""
        return TextInput(value, placeholder=hint, compact=True, select_on_focus=False)

    @property
    def value(self) -> str:
        """What has been typed."""
        return self.input.value

    def on_input_changed(self) -> None:
        """What was wrong is being mended."""
        self.mended()


class PathEntry(Entry):
    """A path, with the names that fit underneath as one types; as `Entry`, and:

    Args:
        new: Whether it may be one where nothing is yet.
        suffix: What the names of the files that are offered end with.
    """

    def __init__(
        self,
        name: str,
        label: str,
        *,
        value: str = "",
        hint: str = "",
        about: str = "",
        new: bool = False,
        suffix: str = "",
    ) -> None:
        super().__init__(name, label, value=value, hint=hint, about=about)
        self._suffix = suffix
        if isinstance(self.input, PathInput):
            self.input.suffix = suffix
        what = f"no {suffix} file" if suffix else "nothing"
        self._otherwise = "a new file" if new else f"{what} begins so"

    def make_input(self, value: str, hint: str) -> TextInput:
        """An input that completes."""
        return PathInput(value, placeholder=hint, compact=True, select_on_focus=False)

    def on_input_changed(self) -> None:
        """Look for what fits now."""
        super().on_input_changed()
        self.run_worker(self._offer(self.value), group="offer")

    async def _offer(self, text: str) -> None:
        if text != self.value:
            return  # More has been typed before it was its turn.
        completion = await asyncio.to_thread(complete, text, self._suffix)
        if text == self.value and not self.problem:
            self.say_below(Content.styled(self._offer_text(completion), "dim"))

    def _offer_text(self, completion: Completion) -> str:
        if completion.problem:
            return completion.problem
        room = max(20, self._below.size.width) * _CANDIDATE_LINES - 12
        offered = ""
        for position, name in enumerate(completion.candidates):
            if len(offered) + len(name) > room:
                return f"{offered}… {len(completion.candidates) - position} more"
            offered += f"{name}  "
        return offered or self._otherwise
