"""The line of keys shows what applies now, and can be clicked."""

from __future__ import annotations

import pytest

from tests.ui.driving import text_of, until
from tests.ui.fake_engine import FakeEngine
from tui.console.app import ConsoleApp


async def test_it_changes_with_the_focus() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        keys = app.main.keys
        await until(pilot, lambda: "l Load" in text_of(keys), "the keys of the plugins")
        assert "1234 Zoom" in text_of(keys)
        await pilot.press("tab", "tab")
        await until(pilot, lambda: "t Toggle" in text_of(keys), "the keys of the matrix")
        assert "l Load" not in text_of(keys)


@pytest.mark.parametrize("width", [160, 80, 60, 20, 3, 1])
async def test_a_key_is_shown_with_its_name_or_not_at_all(width: int) -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        entries = app.main.keys.entries()
        shown = text_of(app.main.keys)
        assert len(shown) <= width
        assert all(entry.name in shown for entry in entries)
        assert not entries or entries[-1].name
        assert any(entry.name == "Help" for entry in entries) == (width >= 20)


async def test_a_click_does_what_the_key_does() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "q Quit" in text_of(app.main.keys), "the keys")
        line = text_of(app.main.keys)
        await pilot.click("KeyLine", offset=(line.index("tab Pane") + 5, 0))
        await until(pilot, lambda: app.main.active.number == 2, "the next pane")
        await pilot.click("KeyLine", offset=(text_of(app.main.keys).index("1234") + 3, 0))
        await until(pilot, lambda: app.main.zoomed and app.main.active.number == 4, "pane 4")
        await pilot.click("KeyLine", offset=(119, 0))
        await pilot.pause()
        assert app.screen is app.main
