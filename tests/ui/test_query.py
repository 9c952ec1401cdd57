"""Questions in SQL on a screen of their own: written, answered, ended, sorted and written out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

import fixtures
from engine.engine import Engine
from engine.recording.memory import Held
from engine.recording.query import Answer, Relation
from engine.recording.replay import ReplayEngine
from engine.recording.useful import USEFUL
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import NOW_NS, FakeEngine
from tests.ui.test_plugin_commands import told
from tests.unit.recording.test_query import ENDLESS
from tests.values import now
from tui.console.app import ConsoleApp
from tui.console.screens.answer import AnswerExportDialog, AnswerRowScreen
from tui.console.screens.query import QueryScreen, answer_text, held_text
from tui.console.screens.useful import UsefulScreen
from tui.console.widgets.answers import AnswerRow, AnswerTable, answer_columns
from tui.console.widgets.entry import Entry
from tui.console.widgets.sql_area import QuestionHistory

FIRST_LIGHT = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"


@asynccontextmanager
async def asking(
    engine: Engine, size: tuple[int, int] = (120, 40)
) -> AsyncIterator[tuple[QueryScreen, Pilot[None]]]:
    """The screen over an engine, when it knows what can be asked."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(app.screen, QueryScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, QueryScreen)
        await until(pilot, lambda: screen.relations.rows, "the tables")
        yield screen, pilot


async def answered(screen: QueryScreen, pilot: Pilot[None], text: str) -> None:
    """Wait for what the answer came to."""
    heading = screen.parts[2]
    await until(pilot, lambda: heading.heading.startswith(f"Answer: {text}"), text)


async def test_a_question_about_a_live_box_from_the_first_letter_to_the_file(
    tmp_path: Path,
) -> None:
    engine = FakeEngine()
    engine.emit_events(30)
    async with asking(engine) as (screen, pilot):
        assert now(screen.focused) is screen.area
        await pilot.press(*"sel", "tab", *"seq, comm from ev", "tab", *"order by 1 limit 25")
        assert screen.area.text == "SELECT seq, comm from events order by 1 limit 25"
        await pilot.press("f5")
        await answered(screen, pilot, "25 rows")
        assert screen.focused is screen.table
        assert "30 records" in screen_text(pilot)
        assert text_of(screen.table).split("\n")[1].split() == ["1", "cat"]

        await pilot.press("s", "S", "g")
        assert [row.values[0] for row in screen.table.rows][:2] == [25, 24]
        await pilot.press("y")
        assert json.loads(pilot.app.clipboard) == {"kind": "row", "seq": 25, "comm": "cat"}
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnswerRowScreen), "the row")
        assert "comm  cat" in screen_text(pilot)
        await pilot.press("escape", "E")
        await until(pilot, lambda: isinstance(pilot.app.screen, AnswerExportDialog), "the dialog")
        await until(pilot, lambda: pilot.app.focused, "its field")
        pilot.app.screen.query_one(Entry).input.value = str(tmp_path / "mine.csv")
        await pilot.press("enter")
        await until(pilot, lambda: "25 rows" in told(pilot.app), "the report")
        lines = (tmp_path / "mine.csv").read_text().splitlines()
        assert (lines[:3], len(lines)) == (["seq,comm", "25,cat", "24,cat"], 26)

        engine.emit_events(5)
        screen.area.write("SELECT count(*) AS n FROM events")
        await pilot.press("f5")
        await answered(screen, pilot, "1 row in")
        assert [row.values for row in screen.table.rows] == [(35,)]
        await pilot.press("1", "ctrl+up", "ctrl+up")
        assert screen.area.text.startswith("SELECT seq, comm")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(pilot.app.screen, QueryScreen), "the panes")
        await pilot.press("Q")
        await until(pilot, lambda: isinstance(pilot.app.screen, QueryScreen), "the screen again")
        again = pilot.app.screen
        assert isinstance(again, QueryScreen)
        assert again.area.text == "SELECT count(*) AS n FROM events"


async def test_what_is_wrong_is_said_at_its_place_and_what_takes_long_is_ended() -> None:
    engine = FakeEngine()
    async with asking(engine) as (screen, pilot):
        screen.area.write("SELECT comm\nFROM events\nWHERE nme = 'x'")
        await pilot.press("f5")
        await until(pilot, lambda: "line 3, column 7: no such column" in screen_text(pilot), "it")
        assert screen.area.cursor_location == (2, 6)
        assert screen.focused is screen.area

        screen.area.write("DELETE FROM kernel_event")
        await pilot.press("f5")
        await until(pilot, lambda: "ask with SELECT" in screen_text(pilot), "the refusal")

        screen.area.write(ENDLESS)
        await pilot.press("f5")
        await until(pilot, lambda: "escape ends it" in screen_text(pilot), "the progress")
        await pilot.press("#")
        assert "#" in screen.area.text, "one can type meanwhile"
        await pilot.press("escape")
        await until(pilot, lambda: "the question was interrupted" in screen_text(pilot), "the end")

        screen.area.write(ENDLESS)
        await pilot.press("f5")
        await until(pilot, lambda: screen.is_asking, "it is asked")
    assert engine.stopped.is_set(), "leaving does not wait for it"


async def test_the_useful_questions_are_offered_over_a_recording_at_80x24() -> None:
    engine = ReplayEngine(FIRST_LIGHT)
    async with asking(engine, (80, 24)) as (screen, pilot):
        assert "the whole recording first-light.jsonl" in screen_text(pilot)
        await pilot.press("f2")
        await until(pilot, lambda: isinstance(pilot.app.screen, UsefulScreen), "the list")
        assert USEFUL[0].title in screen_text(pilot)
        await pilot.press("enter")
        await answered(screen, pilot, "3 rows")
        assert screen.area.text == USEFUL[0].sql
        await pilot.press("2", "end", "home", "enter")
        assert screen.area.text.endswith("LIMIT 20events")


def test_an_answer_makes_its_own_columns() -> None:
    values = ((1, "a", None), (None, "\x1b" * 100, b"\x00"))
    answer = Answer(("n", "a name\n", "n"), values)
    number, text, last = answer_columns(answer)
    assert (number.align, text.align, last.align) == ("right", "left", "left")
    assert (number.name, last.name, text.title) == ("0", "2", "a name␊")
    assert (number.width, text.width, last.width) == (2, 60, 4 // 2)
    row = AnswerRow(2, values[1])
    assert text.text(row) == "␛" * 100
    assert [column.sort_key(row) for column in (number, last) if column.sort_key] == [
        (True, ""),
        (True, "00"),
    ]


def test_an_answer_without_columns_or_rows_is_shown() -> None:
    assert list(answer_columns(Answer((), ()))) == []
    assert [column.width for column in answer_columns(Answer(("none",), ()))] == [5]
    assert AnswerTable(widget_id="rows", empty="").as_json([]) == ""


def test_what_an_answer_came_to_is_said() -> None:
    rows = ((1,), (2,))
    assert answer_text(Answer(("n",), rows, "", 0.5)) == "2 rows in 500ms"
    assert answer_text(Answer(("n",), rows[:1], "", 2e-6)) == "1 row in 2.00µs"
    assert answer_text(Answer(("n",), rows, "rows", 1)) == "the first 2 rows, there are more; 1.00s"
    assert "too large" in answer_text(Answer(("n",), rows, "size", 1))


def test_earlier_questions_are_gone_through_and_the_draft_is_kept() -> None:
    history = QuestionHistory()
    assert history.go(-1, "draft") is None
    for sql in ("one", "two", "one", "three"):
        history.add(sql)
    assert history.last == "three"
    assert [history.go(-1, "draft") for _ in range(4)] == ["three", "one", "two", None]
    assert [history.go(1, "") for _ in range(4)] == ["one", "three", "draft", None]
    for number in range(300):
        history.add(str(number))
    assert [history.go(-1, "") for _ in range(101)][-2:] == ["200", None]


def test_the_line_on_top_tells_what_there_is_and_what_is_missing() -> None:
    held = Held(NOW_NS, records=12_000, left_out=0, forgotten=300)
    rows = {"kernel_event": 11_000, "events": 11_000, "log": 1_000, "process": 0}
    relations = [Relation(name, "table", number, (), "") for name, number in rows.items()]
    own = held_text(held, relations, told=False)
    assert own.startswith("what was remembered at ")
    assert own.endswith("12.0k records of 2 kinds; 300 more are forgotten")
    told = held_text(held, relations, told=True)
    assert told.startswith("what this console was told by ")
    assert told.endswith("12.0k records of 2 kinds, without 300 before them")
