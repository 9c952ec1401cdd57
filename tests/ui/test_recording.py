"""`r` records and ends that, `D` writes out the memory; what is wrong is said in the dialog."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.recording.file import RecordingFile
from engine.selection import Selection
from tests.ui.driving import screen_text, until
from tests.ui.test_plugin_commands import told
from tui.console.app import ConsoleApp
from tui.console.screens.dialog import Dialog
from tui.console.screens.recording import DumpDialog, RecordingDialog
from tui.console.widgets.entry import Entry


@asynccontextmanager
async def console() -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console over a live engine without sources."""
    app = ConsoleApp(LiveEngine(Selection(), Settings()))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.engine.last_seq("stats") > 0, "the engine runs")
        yield app, pilot


def entry(app: ConsoleApp, name: str) -> Entry:
    """A field of the dialog that is open."""
    dialog = app.screen
    assert isinstance(dialog, Dialog)
    found = next(entry for entry in dialog.entries if entry.name == name)
    assert isinstance(found, Entry)
    return found


async def opened(app: ConsoleApp, pilot: Pilot[None], key: str, dialog: type) -> None:
    """Press a key and wait for its dialog."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, dialog) and app.focused, "the dialog")


async def test_r_records_and_r_ends_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    async with console() as (app, pilot):
        await opened(app, pilot, "r", RecordingDialog)
        entry(app, "path").input.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "● rec mine.db" in screen_text(pilot), "it is in the header")
        await until(pilot, lambda: "recording" in screen_text(pilot), "it is counted")
        await pilot.press("r")
        await until(pilot, lambda: "● rec" not in screen_text(pilot), "it has ended")
        status = app.engine.snapshot().sources["recording"]
        assert (status.state, status.counters.balanced) == ("off", True)
    file = RecordingFile.open(path)
    assert "ended_ns" in file.meta
    file.close()


async def test_wrong_values_are_said_at_their_fields_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    wrong = {
        "path": (str(path), ""),
        "keep": ("soon", "no time"),
        "size": ("5", "too small"),
        "redact": ("secrets", "payloads, arguments"),
    }
    async with console() as (app, pilot):
        await opened(app, pilot, "r", RecordingDialog)
        for name, (value, _problem) in wrong.items():
            entry(app, name).input.value = value
        await pilot.press("enter")
        await until(pilot, lambda: entry(app, "redact").problem, "the problems")
        for name, (_value, problem) in wrong.items():
            assert problem in entry(app, name).problem
        assert not path.exists()


async def test_a_file_that_exists_is_refused_in_the_dialog(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    path.write_text("dear diary")
    async with console() as (app, pilot):
        await opened(app, pilot, "r", RecordingDialog)
        entry(app, "path").input.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "there is a file" in screen_text(pilot), "the refusal")
        assert app.engine.snapshot().recording is None
    assert path.read_text() == "dear diary"


async def test_a_recording_whose_file_is_gone_is_told_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "mine.db"
    async with console() as (app, pilot):
        await opened(app, pilot, "r", RecordingDialog)
        entry(app, "path").input.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "● rec mine.db" in screen_text(pilot), "it records")
        path.unlink()
        await until(pilot, lambda: "✗ rec mine.db" in screen_text(pilot), "it has failed")
        await pilot.press("r")
        await until(pilot, lambda: "removed or replaced" in told(app), "the reason")


async def test_what_is_remembered_is_written_out(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    async with console() as (app, pilot):
        stats = app.engine.last_seq("stats")
        await opened(app, pilot, "D", DumpDialog)
        entry(app, "path").input.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "memory.db:" in told(app), "the report")
    file = RecordingFile.open(path)
    assert len(file.records("stats", 0, 2**62, 1_000)) >= stats
    file.close()
