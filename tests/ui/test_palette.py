"""The palette: words find commands, and a command does what it says."""

from __future__ import annotations

from collections.abc import Sequence

from textual.command import CommandList, CommandPalette
from textual.widgets import Input

from engine.probe.catalogue import CELLS
from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.palette import MOST_HITS, Command, matches, preset_commands, subscription_commands
from tui.console.widgets.cells import CellKey
from tui.console.widgets.switches import Switches

CONNECT = ("syscall_exit-connect", "net")


def commands(*titles: str) -> list[Command]:
    return [Command(title, "", lambda: None) for title in titles]


def found(query: str, *titles: str) -> list[str]:
    return [match.command.title for match in matches(commands(*titles), query)]


def test_every_word_has_to_be_there_in_any_order() -> None:
    titles = ("subscribe a-connect (net)", "subscribe a-read (net)", "Pause")
    assert found("net connect", *titles) == ["subscribe a-connect (net)"]
    assert found("nothing", *titles) == []
    assert found("PAUSE", *titles) == ["Pause"]


def test_what_begins_with_a_word_comes_before_what_has_it_within() -> None:
    titles = ("unsubscribe read", "subscribe read", "Zoom", "a subscribe read")
    assert found("subscribe", *titles)[:2] == ["subscribe read", "a subscribe read"]
    assert found("subscribe", *titles)[-1] == "unsubscribe read"


def test_where_the_words_are_is_told() -> None:
    (match,) = matches(commands("subscribe exit-read"), "rea sub")
    assert match.spans == ((15, 18), (0, 3))


def test_no_more_are_listed_than_anybody_reads() -> None:
    assert len(found("call", *(f"call {number}" for number in range(500)))) == MOST_HITS


def test_every_subscription_and_preset_can_be_turned_the_other_way() -> None:
    asked: list[tuple[list[CellKey], bool]] = []

    def switch(keys: Sequence[CellKey], wanted: bool) -> None:
        asked.append((list(keys), wanted))

    switches = Switches()
    switches.take(
        [
            record(
                "subscription",
                event=cell.event.name,
                category=cell.category.label,
                on=(cell.event.name, cell.category.label) == CONNECT,
                unavailable="",
            )
            for cell in CELLS
        ]
    )
    offered = {one.title: one for one in subscription_commands(switches, switch)}
    assert len(offered) == len(CELLS)
    offered["unsubscribe syscall_exit-connect (net)"].run()
    offered["subscribe syscall_exit-openat (file)"].run()
    assert asked == [([CONNECT], False), ([("syscall_exit-openat", "file")], True)]
    presets = {one.title: one for one in preset_commands(switches, switch)}
    presets["Preset @network off"].run()
    presets["Preset @files on"].run()
    assert "Preset @files off" not in presets, "nothing of it is on"
    assert asked[2:] == [([("@network", "")], False), ([("@files", "")], True)]


async def test_a_subscription_is_found_by_its_words_and_turned() -> None:
    engine = FakeEngine()
    engine.set_cells((*CONNECT, False), ("syscall_exit-openat", "file", True))
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        titles = {command.title for command in app.commands_of(app.screen)}
        assert {"Go to Ports", "Theme boxscope-light", "Pause", "Help", "Screenshot"} <= titles
        assert "unsubscribe syscall_exit-openat (file)" in titles
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette), "the palette")
        app.screen.query_one(Input).value = "net conn"
        listed = app.screen.query_one(CommandList)
        await until(pilot, lambda: listed.option_count == 1, "the only command")
        await pilot.press("enter", "enter")
        await until(pilot, lambda: engine.calls == [("on", "syscall_exit-connect:net")], "the call")
