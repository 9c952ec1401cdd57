"""What one can do with one record, wherever it is shown: look at it, copy it, export it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from engine.core.records import Record
from engine.core.sanitise import clean
from engine.recording.export import ExportFacts, export_records
from tui.console import screens
from tui.console.browser import RecordBrowser
from tui.console.format import count, size
from tui.console.keymap import with_keys
from tui.console.looking import LookingApp
from tui.console.opening import run_opening
from tui.console.record_text import json_text, line_text
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream_rows import Skipped

COMMON_LIMIT = 74_994
"""Bytes of a copy that every terminal takes; several know no limit, many end there."""


class SubjectActions(LookingApp):
    """The part of the application that is about one record, and about selected text."""

    _mouse_is_ours = True

    @property
    def subject(self) -> Record | None:
        """The record of the row that keys act on, else the one the screen is about."""
        view = self.focused
        if isinstance(view, LineView):
            row = view.chosen_row
            record = None if row is None else view.record_of(row)
            if record is not None:
                return record
        found = getattr(self.screen, "subject", None)
        return found if isinstance(found, Record) else None

    def browser_of(self, record: Record, view: object) -> RecordBrowser:
        """Go through records beginning with one, over those of the list it is in."""
        known = getattr(view, "records", ())
        frames = getattr(view, "frames", {})
        return RecordBrowser(self.engine, record, known, frames)

    async def action_fields(self) -> None:
        """Open every field of the record."""
        record = self.subject
        if record is not None:
            await self.show_detail(record, self.focused)

    async def show_detail(self, record: Record, view: object) -> None:
        """Open the screen with every field of a record, from the list it is in."""
        await self.cover(screens.DetailScreen(self.browser_of(record, view), self.engine))

    # Copying.

    def action_copy(self, form: str) -> None:
        """Copy the record, as `json` or as `text`."""
        record = self.subject
        if record is None:
            return
        text = json_text(record) if form == "json" else line_text(record)
        number = f" {record.seq}" if record.seq else ""
        shape = "JSON" if form == "json" else "text"
        self.copy_and_tell(text, f"{record.kind}{number} as {shape}")

    def copy_and_tell(self, text: str, what: str) -> None:
        """Copy a text, and say how much that was."""
        self.copy_to_clipboard(text)
        length = len(text.encode("utf-8", "replace"))
        told = f"copied {what}, {size(length)}"
        if length > COMMON_LIMIT:
            key = with_keys(self, "{subject.export}")
            told += f"; some terminals take {size(COMMON_LIMIT)} at most: {key} writes it to a file"
        self.notify(told, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text; what is no text in UTF-8 of it is replaced."""
        super().copy_to_clipboard(text.encode("utf-8", "replace").decode())

    def action_interrupt(self) -> None:
        """Copy the selected text; without any, leave."""
        text = self.screen.get_selected_text()
        if not text:
            self.exit()
            return
        lines = text.count("\n") + 1
        self.copy_and_tell(text, f"{count(lines)} line{'' if lines == 1 else 's'} of text")
        self.screen.clear_selection()

    def action_mouse(self) -> None:
        """Leave the mouse to the terminal, or take it back."""
        self._mouse_is_ours = not self._mouse_is_ours
        name = "_enable_mouse_support" if self._mouse_is_ours else "_disable_mouse_support"
        # The framework has no public way but to start without the mouse.
        if switch := getattr(self._driver, name, None):
            switch()
        self.notify(
            "the mouse is boxscope's again"
            if self._mouse_is_ours
            else with_keys(
                self, "the mouse is the terminal's: select as everywhere; {mouse} takes it back"
            ),
            markup=False,
        )

    # Exporting.

    def action_export(self) -> None:
        """Ask for a file, and write the record or all rows shown into it."""
        run_opening(self, self._export(), group="dialogs", name="export")

    async def _export(self) -> None:
        exportable = self._exportable()
        first = next(iter(exportable.shown), exportable.selected)
        if first is None:
            return
        name = f"boxscope-{first.kind}-{datetime.now():%Y%m%d-%H%M%S}.jsonl"
        dialog = screens.ExportDialog(name, exportable, self._write)
        facts = await self.push_screen_wait(dialog)
        if facts is not None:
            told = f"{count(facts.records)} records, {size(facts.bytes)}"
            self.notify(clean(f"{facts.path}: {told}"), markup=False)

    def _write(self, path: Path, records: Sequence[Record], replace: bool) -> ExportFacts:
        return export_records(path, self.engine.snapshot().host, records, replace=replace)

    def _exportable(self) -> screens.Exportable:
        """What could be written now: the record, and the rows of the list."""
        view, left_out = self.focused, 0
        shown: dict[int, Record] = {}
        if isinstance(view, LineView):
            for index in range(view.row_count):
                row = view.row_at(index)
                if isinstance(row, Skipped):
                    left_out += row.number
                elif (record := view.record_of(row)) is not None:
                    # A process stands in the list once for each of its ports.
                    shown[id(record)] = record
        return screens.Exportable(self.subject, tuple(shown.values()), left_out)
