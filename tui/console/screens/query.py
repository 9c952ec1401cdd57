"""Questions in SQL to what a live engine remembers, or to the recording that is replayed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from engine.core.clock import local_time_of_day
from engine.core.errors import BoxscopeError
from engine.core.kinds import KINDS
from engine.core.sanitise import clean
from engine.engine import Engine
from engine.recording.asking import Asker, Progress
from engine.recording.memory import Held
from engine.recording.place import SqlError
from engine.recording.query import Answer, Relation
from engine.recording.useful import USEFUL
from tui.console.format import count, duration
from tui.console.keymap import with_keys
from tui.console.keys import QUERY_KEYS
from tui.console.opening import run_opening
from tui.console.reader import RecordReader
from tui.console.screens.answer import AnswerExportDialog, AnswerRowScreen
from tui.console.screens.parts import Part, PartsScreen
from tui.console.screens.useful import UsefulScreen
from tui.console.widgets.answers import AnswerRow, AnswerTable
from tui.console.widgets.columns import Column
from tui.console.widgets.lines import LineView
from tui.console.widgets.sql_area import QuestionHistory, SqlArea
from tui.console.widgets.table import TableView

_QUESTION, _ANSWER = 1, 3
_FIRST_ROWS = 100


def progress_text(progress: Progress) -> str:
    """How far a question is."""
    told = {
        "taking in": f"taking in {count(progress.done)} of {count(progress.of)} records",
        "asking": f"asking: {count(progress.done)} rows",
    }.get(progress.doing, progress.doing)
    return f"{told}, {progress.seconds:.1f} s"


def answer_text(answer: Answer) -> str:
    """What an answer came to."""
    rows, took = len(answer.rows), duration(answer.seconds * 1e9)
    match answer.cut:
        case "rows":
            return f"the first {rows} rows, there are more; {took}"
        case "size":
            return f"the first {rows} rows, more would be too large; {took}"
    return f"{rows} row{'' if rows == 1 else 's'} in {took}"


def held_text(held: Held, relations: Sequence[Relation], *, told: bool) -> str:
    """What there is to be asked, as of when, and what is not there any more.

    Args:
        held: What there is.
        relations: The tables with their rows; none while they are not looked up.
        told: Whether that is what an engine of another process has told, and not its memory.
    """
    kinds = [each.name for each in relations if each.name in KINDS and each.rows]
    number = f"{count(held.records)} records" + (f" of {len(kinds)} kinds" if kinds else "")
    if told:
        more = f", without {count(held.forgotten)} before them" if held.forgotten else ""
        about = f"what this console was told by {_moment(held)}: {number}{more}"
    else:
        more = f"; {count(held.forgotten)} more are forgotten" if held.forgotten else ""
        about = f"what was remembered at {_moment(held)}: {number}{more}"
    return about + (f"; {count(held.left_out)} more are left out" if held.left_out else "")


def _moment(held: Held) -> str:
    return local_time_of_day(held.wall_ns)[:8]


def _relation_table() -> TableView[Relation]:
    return TableView(
        (
            Column("name", "table", 17, lambda row: clean(row.name), priority=1),
            Column("rows", "rows", 7, lambda row: count(row.rows), "right", 1),
            Column("help", "holds", 12, lambda row: row.help, priority=2, flex=True),
        ),
        lambda row: row.name,
        empty="being looked up",
        widget_id="relations",
    )


class QueryScreen(PartsScreen):
    """A question, its answer, and what can be asked.

    Args:
        engine: What is asked.
        history: The questions asked before.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*QUERY_KEYS]

    def __init__(self, engine: Engine, history: QuestionHistory) -> None:
        self._asker = Asker(engine)
        self._recording = engine.recording_path
        self._is_told = engine.is_shared
        self._history = history
        self.area = SqlArea(history, widget_id="sql")
        self.below = Static(markup=False, id="below")
        self.table = AnswerTable(widget_id="rows", empty="")
        self.relations = _relation_table()
        self._answer_part = Part("Answer", self.table, part_id="answer-part")
        self._relation_part = Part("Tables", self.relations, part_id="relation-part")
        super().__init__(
            (
                Part("Question", self.area, self.below, part_id="question-part"),
                self._relation_part,
                self._answer_part,
            )
        )

    def on_mount(self) -> None:
        """Look up what can be asked."""
        super().on_mount()
        hint = "{query.ask} asks · {query.useful} offers useful questions"
        if self._is_told:
            hint += " · {record.dump} in the panes writes all the engine remembers, to be asked"
        self.table.say_when_empty(with_keys(self.app, hint))
        self._tell_subject()
        self._offer()
        self.run_worker(self._look_up(), group="look up")

    def on_unmount(self) -> None:
        """End what is being asked; nobody waits for it."""
        threading.Thread(target=self._asker.close, name="boxscope-query-end").start()

    async def _look_up(self) -> None:
        try:
            relations = await asyncio.to_thread(self._asker.relations)
        except BoxscopeError as error:
            self._complain(error)
            return
        self.area.relations = relations
        self.relations.set_rows(relations)
        if self._asker.held is not None:
            self._relation_part.heading = f"Tables at {_moment(self._asker.held)}"
            self.rearrange()
        self._tell_subject()
        self._offer()

    # Asking.

    @property
    def is_asking(self) -> bool:
        """Whether an answer is awaited."""
        return self.is_busy_with("ask")

    def action_ask(self) -> None:
        """Ask what is written."""
        sql = self.area.text.strip()
        if not sql or self.is_asking:
            return
        self._history.add(sql)
        self._say(Content(""))
        self.run_worker(self._ask(sql), group="ask")
        self._head("being asked")

    async def _ask(self, sql: str) -> None:
        try:
            answer = await asyncio.to_thread(self._asker.ask, sql)
        except BoxscopeError as error:
            self._head("")
            self._complain(error)
        else:
            self._take(answer)
        self._tell_subject()

    def _take(self, answer: Answer) -> None:
        self.table.say_when_empty("no rows" if answer.columns else "nothing to show")
        self.table.show_answer(answer)
        self._head(answer_text(answer))
        self.go(_ANSWER)

    def _complain(self, error: BoxscopeError) -> None:
        """Say what is wrong under the question, and go to the place where it is."""
        told = error.problem if isinstance(error, SqlError) else error.message
        place = ""
        if isinstance(error, SqlError) and error.start is not None:
            start = len(self.area.text) - len(self.area.text.lstrip()) + error.start
            self.area.go_to(start)
            row, column = self.area.cursor_location
            place = f"line {row + 1}, column {column + 1}: "
        fix = f"\n  {clean(error.fix)}" if error.fix and not place else ""
        self._say(Content.styled(f"✗ {place}{clean(told)}{fix}", "$text-error"))
        self.go(_QUESTION)

    def pull(self, reader: RecordReader) -> None:
        """Tell how far a question is."""
        progress = self._asker.progress
        if progress is None:
            return
        if self.is_asking:
            ends = with_keys(self.app, "{part.close} ends it")
            self._head(f"{progress_text(progress)} · {ends}")
        else:
            self.relations.say_when_empty(progress_text(progress))

    # Telling.

    def _head(self, text: str) -> None:
        self._answer_part.heading = f"Answer: {text}" if text else "Answer"
        self.rearrange()

    def _tell_subject(self) -> None:
        """What is asked, and as of when."""
        held = self._asker.held
        if self._recording is not None:
            about = f"the whole recording {clean(self._recording.name)}"
        elif held is None:
            about = "what this console is told" if self._is_told else "what this engine remembers"
        else:
            about = held_text(held, self.area.relations, told=self._is_told)
        self.say(Content.assemble((" Query ", "bold"), about, ("  read-only SQL", "dim")))

    def _say(self, content: Content) -> None:
        self.below.display = bool(content.plain.strip())
        self.below.update(content)

    def _offer(self) -> None:
        """Show what may come next at the cursor, as far as there is room."""
        found, room = self.area.completions(), max(20, self.area.size.width - 2)
        if len(found) == 1:
            offered = f"{found[0].text}  {found[0].help}"
        else:
            offered = "  ".join(each.text for each in found)
        cut = offered if len(offered) <= room else offered[: room - 1] + "…"
        self._say(Content.styled(clean(cut), "dim"))

    # What the parts tell.

    def on_text_area_changed(self) -> None:
        """Another letter, other completions."""
        self._offer()

    def on_sql_area_left(self, message: SqlArea.Left) -> None:
        """On to the next part."""
        message.stop()
        self.action_next_part(1)

    def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Show a row whole; take a table's name into the question."""
        match message.row:
            case AnswerRow() as row:
                message.stop()
                self.app.push_screen(AnswerRowScreen(self.table.names, row))
            case Relation(name=name):
                message.stop()
                self._take_up(name)

    def _take_up(self, name: str) -> None:
        """A table's first rows where nothing is written, else its name where the cursor is."""
        quoted = name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
        if self.area.text.strip():
            self.area.insert(quoted)
            self.go(_QUESTION)
        else:
            self.area.write(f"SELECT * FROM {quoted} LIMIT {_FIRST_ROWS}")
            self.action_ask()

    def on_answer_table_export_asked(self, message: AnswerTable.ExportAsked) -> None:
        """Write the rows, in the order they stand in, into a file."""
        message.stop()
        run_opening(self, self._export(), group="export", name="export an answer")

    async def _export(self) -> None:
        rows = [row.values for row in self.table.rows]
        dialog = AnswerExportDialog(self.table.names, rows)
        told = await self.app.push_screen_wait(dialog)
        if told is not None:
            self.notify(clean(told), markup=False)

    # Keys.

    def action_useful(self) -> None:
        """Choose one of the useful questions."""
        self.app.push_screen(UsefulScreen(USEFUL), self._take_useful)

    def _take_useful(self, sql: str | None) -> None:
        if sql is not None:
            self.area.write(sql)
            self.action_ask()

    def action_sort(self) -> None:
        """Sort the answer by the next column."""
        self.table.action_sort()

    def action_reverse(self) -> None:
        """Turn its order round."""
        self.table.action_reverse()

    def action_close(self) -> None:
        """End what is being asked, else go back."""
        if self.is_asking:
            self._asker.interrupt()
        else:
            super().action_close()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        match action:
            case "sort":
                return isinstance(self.focused, AnswerTable)
            case "reverse":
                return isinstance(self.focused, AnswerTable) and bool(self.focused.sort_name())
        return super().check_action(action, parameters)
