"""Dialogs: a question, or fields to fill in; usable by keyboard alone."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar, Generic, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from engine.core.errors import BoxscopeError
from engine.core.sanitise import clean
from tui.console.keymap import with_keys
from tui.console.keys import CONFIRM_KEYS, DIALOG_KEYS
from tui.console.widgets.entry import Field

ResultT = TypeVar("ResultT")


class _Frame(VerticalScroll, inherit_bindings=False):
    """Scrolls to the field that has the focus; the arrow keys go from field to field."""


class Dialog(ModalScreen[ResultT | None], Generic[ResultT]):
    """Fields, and what is done with them; stays open, and says why, until that succeeds.

    Args:
        title: Stands on the border.
        text: Sentences above the fields.
        entries: The fields.
        accept: What the button says that does it.
        cancel: What the one says that changes nothing.
    """

    CSS_PATH = "dialog.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*DIALOG_KEYS]
    hint: ClassVar[str] = "tab next · {dialog.accept} does it · {dialog.cancel} cancels"

    def __init__(
        self,
        title: str,
        text: str,
        entries: Sequence[Field],
        *,
        accept: str,
        cancel: str = "Cancel",
    ) -> None:
        super().__init__()
        self._title = title
        self._text = Content(text)
        self.entries = tuple(entries)
        self.refusal = Static(id="refusal")
        self.refusal.display = False
        self._accept_button = Button(Content(accept), id="accept", variant="primary", compact=True)
        self._cancel_button = Button(Content(cancel), id="cancel", compact=True)
        self._busy = False

    def compose(self) -> ComposeResult:
        """A frame that scrolls if it must."""
        with _Frame(id="dialog", can_focus=False) as frame:
            frame.border_title = Content(self._title)
            frame.border_subtitle = with_keys(self.app, self.hint)
            yield Static(self._text)
            yield from self.entries
            yield self.refusal
            with Horizontal(id="buttons"):
                yield self._accept_button
                yield self._cancel_button

    def on_mount(self) -> None:
        """Begin with the first field, or with what changes nothing."""
        (self.entries[0].target if self.entries else self._cancel_button).focus()

    # What a dialog is about; both run in a thread of their own.

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is wrong with the values, by the name of the field; nothing if they will do."""
        return {}

    @abstractmethod
    def act(self, values: Mapping[str, str]) -> ResultT:
        """Do it.

        Raises:
            BoxscopeError: it is refused; the dialog says why and stays open.
        """

    # Doing it.

    def action_accept(self) -> None:
        """Check the values, then do it."""
        if not self._busy:
            self.run_worker(self._accept(), group="accept")

    async def _accept(self) -> None:
        values = {str(entry.name): entry.value for entry in self.entries}
        self._set_busy(True)
        try:
            problems = await asyncio.to_thread(self.problems, values)
            if not self._complain(problems):
                self.dismiss(await asyncio.to_thread(self.act, values))
        except BoxscopeError as error:
            self._refuse(error)
        finally:
            self._set_busy(False)

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        self._accept_button.disabled = busy

    def _complain(self, problems: Mapping[str, str]) -> bool:
        """Say what is wrong and go to the first such field; False if nothing is."""
        self.refusal.display = False
        wrong = [entry for entry in self.entries if entry.name in problems]
        for entry in wrong:
            entry.complain(clean(problems[str(entry.name)]))
        if wrong:
            wrong[0].target.focus()
        return bool(wrong)

    def _refuse(self, error: BoxscopeError) -> None:
        lines = [f"✗ {clean(error.message)}", *([f"  {clean(error.fix)}"] if error.fix else [])]
        self.refusal.update(Content.styled("\n".join(lines), "$text-error"))
        self.refusal.display = True
        self.refusal.scroll_visible(animate=False)

    # Keys.

    def action_cancel(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def action_next_field(self, step: int) -> None:
        """Go to another field."""
        if step > 0:
            self.focus_next()
        else:
            self.focus_previous()

    def on_input_submitted(self) -> None:
        """Enter in a field does it."""
        self.action_accept()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A button was pressed."""
        event.stop()
        if event.button is self._accept_button:
            self.action_accept()
        else:
            self.action_cancel()


class ConfirmDialog(Dialog[bool]):
    """Asks before something is done; True if it is wanted."""

    BINDINGS: ClassVar[list[BindingType]] = [*CONFIRM_KEYS]
    hint = "{confirm.yes} does it · {confirm.no} or {dialog.cancel} does not"

    def __init__(self, title: str, text: str, *, accept: str, cancel: str) -> None:
        super().__init__(title, text, (), accept=f"{accept} (y)", cancel=f"{cancel} (n)")

    def act(self, values: Mapping[str, str]) -> bool:
        """It is wanted."""
        return True
