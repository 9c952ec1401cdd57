"""The line one filters a list with: the language of `engine.core.filters`, with completion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from engine.core.filters import Completion, Filter, FilterError, complete
from engine.core.sanitise import clean
from tui.console.format import count
from tui.console.keymap import with_keys
from tui.console.keys import FILTER_KEYS
from tui.console.opening import ask
from tui.console.paths import beginning_of_all
from tui.console.widgets.entry import TextInput


class FilterInput(TextInput):
    """The input of the line; its keys are those of searching."""

    BINDINGS: ClassVar[list[BindingType]] = [*FILTER_KEYS]

    def __init__(self, bar: FilterBar) -> None:
        super().__init__(compact=True, select_on_focus=False)
        self._bar = bar

    def action_leave(self) -> None:
        """Keep what was typed."""
        self._bar.leave()

    def action_clear(self) -> None:
        """Forget what was typed."""
        self._bar.clear()

    def action_complete(self) -> None:
        """Complete the word at the cursor."""
        self._bar.complete_word()


class FilterBar(Vertical):
    """A filter being written or in force; out of view as long as there is none."""

    prompt: ClassVar[str] = "/ "
    hint: ClassVar[str] = 'comm == nginx and latency_ms > 5ms, or any text: "GET /users"'

    class Changed(Message):
        """Another filter is to be in force; None for no filter."""

        def __init__(self, filter_: Filter | None) -> None:
            super().__init__()
            self.filter = filter_

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self.input = FilterInput(self)
        self._counts = Static(markup=False, classes="counts")
        self._below = Static(Content(""), markup=False, classes="below")
        self._below.display = False
        self._kinds: tuple[str, ...] = ()
        self._list: Widget | None = None
        self._values: Callable[[str], Iterable[str]] = lambda name: ()
        self._in_force = ""
        self._before = ""
        """What was in force when the line was opened, and is while what is typed means nothing."""

    def compose(self) -> ComposeResult:
        """The line, and what is wrong or what may follow underneath."""
        self.input.placeholder = with_keys(self.app, self.hint)
        with Horizontal():
            yield Static(self.prompt, markup=False, classes="prompt")
            yield self.input
            yield self._counts
        yield self._below

    # Opening and closing.

    @property
    def text(self) -> str:
        """What is in force, as it was written."""
        return self._in_force

    def show_for(
        self,
        kinds: Sequence[str],
        text: str,
        values: Callable[[str], Iterable[str]],
    ) -> None:
        """Show the filter of another list.

        Args:
            kinds: Kinds of the list's records.
            text: What is in force there, as it was written.
            values: Values that a field has in the list, to be offered.
        """
        self._kinds, self._values = tuple(kinds), values
        if text != self._in_force:
            self.say_beside("")
        self._in_force = text
        with self.prevent(FilterInput.Changed):
            self.input.value = self._in_force
        self.display = bool(self._in_force)
        self._say(Content(""))

    def put_away(self) -> None:
        """Show nothing; no list is looked at."""
        self.display = False

    def open(self, view: Widget) -> None:
        """Let somebody type, who goes back to a list then."""
        self._list = view
        self.display = True
        self._before = self._in_force
        # At once: what is typed next is meant for this line, not for the keys of another widget.
        self.screen.set_focus(self.input)
        self._offer()

    def show_counts(self, shown: int, seen: int, *, looking_back: bool = False) -> None:
        """Say how many records the filter chose, of how many it was asked about so far."""
        told = f" {'looking back: ' if looking_back else ''}{count(shown)} of {count(seen)}"
        self.say_beside(told if self._in_force else "")

    def say_beside(self, text: str) -> None:
        """Show something at the end of the line."""
        if text != str(self._counts.content):
            self._counts.update(text)

    def leave(self) -> None:
        """Leave the line, unless what is in it means nothing."""
        if error := self._error():
            self._complain(error)
            return
        self._enforce(self.input.value)
        self.display = bool(self._in_force)
        self._say(Content(""))
        self.screen.set_focus(self._list)

    def clear(self) -> None:
        """Show everything again."""
        with self.prevent(FilterInput.Changed):
            self.input.value = ""
        self.display = False
        self._enforce("")
        self.screen.set_focus(self._list)

    # Typing.

    def on_input_changed(self, message: FilterInput.Changed) -> None:
        """What is typed counts as soon as it means something and the last word is whole."""
        message.stop()
        text = self.input.value
        error = self._error()
        if error is None:
            if not any(each.end > each.start for each in self.completions()):
                self._enforce(text)
            self._offer()
            return
        self._enforce(self._before)
        if error.start >= len(text.rstrip()) or "not closed" in error.problem:
            self._offer()
        else:
            self._complain(error)

    def make(self, text: str) -> Filter:
        """The filter a text means.

        Raises:
            FilterError: it means none.
        """
        return Filter(text, self._kinds)

    def _error(self) -> FilterError | None:
        text = self.input.value
        if not text.strip():
            return None
        try:
            self.make(text)
        except FilterError as error:
            return error
        return None

    def _enforce(self, text: str) -> None:
        text = text.strip()
        if text != self._in_force:
            self._in_force = text
            # What is typed next may be for the list: it comes to its turn when this is in force.
            ask(self, self.Changed(self.make(text) if text else None))

    def _complain(self, error: FilterError) -> None:
        """Say what is wrong, under its column as far as it is in view."""
        hint = f": {error.hint}" if error.hint else ""
        told = clean(f"{error.problem}{hint}")
        column = max(0, error.start - int(self.input.scroll_offset.x)) + len(self.prompt)
        carets = "^" * min(error.end - error.start, 20)
        if column + len(carets) + 1 + len(told) <= self.size.width or column < 2:
            line = " " * column + f"{carets} {told}"
        else:
            line = f"{told} "[: max(0, column)].ljust(column) + carets
            if len(told) > column:
                line = f"{' ' * column}{carets}\n{told}"
        self._say(Content.styled(line, "$text-error"))

    # Completing.

    def completions(self) -> list[Completion]:
        """What may come next at the cursor."""
        return complete(self.input.value, self.input.cursor_position, self._kinds, self._values)

    def _offer(self) -> None:
        """Show what may come next, as far as there is room."""
        room, offered = max(20, self.size.width - 4), ""
        found = self.completions()
        if len(found) == 1 and found[0].help:
            offered = f"{found[0].text}: {found[0].help}"
        else:
            for each in found:
                if len(offered) + len(each.text) + 2 > room:
                    offered += "…"
                    break
                offered += f"{each.text}  "
        self._say(Content.styled(" " * len(self.prompt) + clean(offered), "dim"))

    def complete_word(self) -> None:
        """Complete the word at the cursor as far as all that may follow agree."""
        found = self.completions()
        if not found:
            return
        text, first = self.input.value, found[0]
        common = (
            first.text + " "
            if len(found) == 1
            else beginning_of_all(sorted(each.text for each in found))
        )
        if len(common) > first.end - first.start:
            self.input.value = text[: first.start] + common + text[first.end :].lstrip(" ")
            self.input.cursor_position = first.start + len(common)

    def _say(self, content: Content) -> None:
        if content != self._below.content:
            self._below.display = bool(content.plain.strip())
            self._below.update(content)
