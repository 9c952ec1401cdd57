"""What boxscope needs on this box, each need with what it costs and the line that mends it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.errors import BoxscopeError
from engine.core.progress import Tasks
from engine.core.sanitise import clean
from engine.doctor import CHECKS, Need, examine_in_turn, need_for
from tui.console.keys import DOCTOR_KEYS
from tui.console.screens.parts import Part, PartsScreen, update_lines
from tui.console.widgets.columns import Column, Tone
from tui.console.widgets.lines import LineView
from tui.console.widgets.row_cursor import RowCursor
from tui.console.widgets.table import TableView


def mark(need: Need) -> str:
    """Whether it is there, told by sign and word."""
    return "✓ found" if need.found else "✗ MISSING"


def _tone(need: Need) -> Tone:
    return "good" if need.found else "bad"


def _columns() -> tuple[Column[Need], ...]:
    return (
        Column("mark", "state", 9, mark, priority=1, tone=_tone),
        Column("name", "need", 20, lambda need: need.name, priority=1, ample=32),
        Column(
            "detail", "what was found", 16, lambda need: clean(need.detail), priority=2, flex=True
        ),
    )


def need_content(need: Need) -> Content:
    """A need in full."""
    lines = [
        Content.assemble(
            (f"{mark(need)}  ", "$text-success" if need.found else "bold $text-error"),
            (need.name, "bold"),
        ),
        Content(clean(need.detail)),
    ]
    told = (
        ("costs you", need.costs),
        ("fix", need.fix),
        ("used by", ", ".join(need.sources) or "everything"),
    )
    lines += [Content.assemble((f"{name}  ", "dim"), clean(text)) for name, text in told if text]
    return Content("\n").join(lines)


class DoctorScreen(PartsScreen):
    """The checks, made when the screen opens and again on demand.

    Args:
        tasks: Told how far the checks are.
        sources: Sources that cannot run; the check that tells why is gone to.
        reason: What they say themselves.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*DOCTOR_KEYS]

    def __init__(self, tasks: Tasks, sources: tuple[str, ...] = (), reason: str = "") -> None:
        self._tasks = tasks
        self._sources = sources
        self._reason = reason
        self._gone_to = False
        self.needs: tuple[Need, ...] = ()
        self.checks = TableView(
            _columns(), key=lambda need: need.name, empty="checking …", widget_id="checks"
        )
        self._detail = Static()
        super().__init__(
            (
                Part("Doctor", self.checks, part_id="checks-part"),
                Part("Check", VerticalScroll(self._detail), part_id="check-part"),
            )
        )

    def on_mount(self) -> None:
        """Begin to check."""
        super().on_mount()
        self.action_rerun()

    def action_rerun(self) -> None:
        """Make all checks again, away from the screen."""
        self.run_worker(self._examine(), group="doctor", exclusive=True)

    async def _examine(self) -> None:
        self.say(Content(f" checking, {len(CHECKS)} checks"))
        found: list[Need] = []
        checks = examine_in_turn(self._tasks)
        try:
            while (need := await asyncio.to_thread(next, checks, None)) is not None:
                found.append(need)
                self.say(Content(f" checking, {len(found)} of {len(CHECKS)}"))
                if not self.needs:
                    self.checks.set_rows(found)
        except BoxscopeError as error:
            self.say(Content(f" {error}"))
            return
        self.needs = tuple(found)
        self.checks.set_rows(found)
        self._tell_outcome(found)

    def _tell_outcome(self, found: Sequence[Need]) -> None:
        missing = [need for need in found if not need.found]
        told = f" {len(missing)} of {len(found)} missing" if missing else " everything is there"
        self.say(Content.styled(told, "bold $text-error" if missing else "bold $text-success"))
        if not self._gone_to:
            self._gone_to = True
            wanted = need_for(tuple(found), self._sources, self._reason)
            theirs = (each for each in found if set(each.sources) & set(self._sources))
            wanted = wanted or next(iter([*missing, *theirs, found[0]]))
            self.checks.move_to(self.checks.index_of(wanted.name) or 0)
        self._show(self.checks.cursor_row)

    def _show(self, need: Need | None) -> None:
        if need is not None:
            update_lines(self._detail, need_content(need))
        self.refresh_bindings()

    def on_row_cursor_moved(self, message: RowCursor.Moved) -> None:
        """Tell the check under the cursor in full."""
        message.stop()
        self._show(message.row if isinstance(message.row, Need) else None)

    def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Go to what is told of it."""
        message.stop()
        self.go(2)

    def action_copy_fix(self) -> None:
        """Copy the line that mends the check under the cursor."""
        need = self.checks.cursor_row
        if need is not None and need.fix:
            self.app.copy_to_clipboard(need.fix)
            self.notify(f"copied: {clean(need.fix)}", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        if action == "copy_fix":
            need = self.checks.cursor_row
            return need is not None and bool(need.fix)
        return super().check_action(action, parameters)
