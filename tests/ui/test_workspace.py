"""A workspace in the console: shown as it says, told what is refused, saved as it is."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import PluginError
from engine.workspace import LISTS, OpenedWorkspace, Workspace, read_workspace
from engine.workspace_file import write_workspace
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.options import ConsoleOptions
from tui.console.screens.themes import ThemeScreen
from tui.console.screens.workspace import WorkspaceDialog
from tui.console.widgets.entry import Entry

SAID = Workspace(
    version=1,
    theme="boxscope-light",
    zoom="ports",
    ports="80",
    filters={"ports": "pid == 7", "events": "cpu == 1"},
)


async def test_it_is_shown_as_it_says_and_saved_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    write_workspace(SAID, path)
    engine = FakeEngine()
    engine.set_table("process", [record("process", pid=pid, ports=[]) for pid in (7, 8)])
    app = ConsoleApp(engine, ConsoleOptions(theme=SAID.theme, workspace=read_workspace(path)))
    async with app.run_test(size=(120, 40)) as pilot:
        ports = app.main.panes[1]
        await until(pilot, lambda: ports.lists[0].row_count == 1, "the filtered row")
        assert app.main.zoomed
        assert app.main.active is ports
        assert app.theme == "boxscope-light"
        assert "/ pid == 7" in screen_text(pilot)
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, WorkspaceDialog), "the dialog")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main, "the end of the dialog")
        assert read_workspace(path).workspace == SAID
        # What is changed is saved, too; a name that cannot be is said.
        await pilot.press("3", "ctrl+t")
        await until(pilot, lambda: isinstance(app.screen, ThemeScreen), "the themes")
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "textual-dark", "the theme shown meanwhile")
        await pilot.press("escape")
        assert app.theme == "boxscope-light", "escape keeps the former"
        await pilot.press("ctrl+t", "up", "enter")
        await until(pilot, lambda: app.screen is app.main, "the chosen theme")
        assert app.theme == "boxscope-dark"
        await pilot.press("ctrl+s")
        await until(pilot, lambda: isinstance(app.screen, WorkspaceDialog), "the dialog")
        entry = app.screen.query_exactly_one(Entry)
        entry.input.value = str(tmp_path / "no" / "where.toml")
        await pilot.press("enter")
        await until(pilot, lambda: entry.problem.startswith("there is no directory"), "the refusal")
        entry.input.value = str(tmp_path / "more.toml")
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main, "the end of the dialog")
        changed = {"zoom": "events", "theme": "boxscope-dark"}
        assert read_workspace(tmp_path / "more.toml").workspace == SAID.model_copy(update=changed)


async def test_what_is_refused_is_told_and_the_rest_opens(tmp_path: Path) -> None:
    said = Workspace.model_validate(
        {"version": 1, "plugins": [{"file": "/gone"}], "filters": {"messages": "status == 500"}}
    )
    engine = FakeEngine()
    engine.refusal = PluginError("cannot start /gone: no such file", fix="give another path")
    app = ConsoleApp(engine, ConsoleOptions(workspace=OpenedWorkspace(said)))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app._notifications, "the refusal")
        (notice,) = app._notifications
        assert notice.title == "not restored"
        assert notice.message == "cannot start /gone: no such file\ngive another path"
        assert engine.calls == [("load_plugin", "/gone", "", "")]
        filters = {
            view.id: view.filter.text
            for pane in app.main.panes
            for view in pane.lists
            if view.filter
        }
        assert filters == {"messages": "status == 500"}
        kinds = {view.id: view.kinds for pane in app.main.panes for view in pane.lists}
        assert kinds == LISTS, "what a workspace may filter is what the panes can"
