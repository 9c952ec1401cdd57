"""The inspector of one Wasm call: what it saw, said and sent, and what comes of it again."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.browser import RecordBrowser
from tui.console.call_text import (
    Section,
    action_tone,
    decision_lines,
    facts_sections,
    output_sections,
    result_sections,
    sections_content,
)
from tui.console.calls import CallSearch, message_of, runs_of
from tui.console.format import value_text
from tui.console.keys import CALL_KEYS, RECORD_KEYS
from tui.console.reader import RecordReader
from tui.console.screens.browsing import BrowsingScreen
from tui.console.screens.parts import Part
from tui.console.values import bytes_of
from tui.console.wasm import RunsAgain
from tui.console.widgets.calls import run_table
from tui.console.widgets.hexdump import HexView

RUNS_PART = 5


class CallScreen(BrowsingScreen, RunsAgain):
    """One call; stays on it while others arrive, and shows each that repeats it.

    Args:
        browser: The calls of the plugin, this one first.
        reader: Where its repetitions and its message come from.
        runs: Begin with the part that shows its repetitions.
    """

    all_width = 150
    BINDINGS: ClassVar[list[BindingType]] = [*CALL_KEYS, *RECORD_KEYS]

    def __init__(self, browser: RecordBrowser, reader: RecordReader, *, runs: bool = False) -> None:
        self._reader = reader
        self._begin_with_runs = runs
        self._facts, self._result, self._output = Static(), Static(), Static()
        self._frames = tuple(
            VerticalScroll(each) for each in (self._facts, self._result, self._output)
        )
        self._payload = HexView(empty="no payload")
        self.runs = run_table(
            widget_id="runs",
            empty="not repeated yet: {call.again} runs it again, {call.edit} with other bytes",
        )
        self._search = runs_of(reader, browser.record)
        self._decision: Section | None = None
        facts, result, output = self._frames
        super().__init__(
            browser,
            (
                Part("Call", facts, part_id="call"),
                Part("Result", result, part_id="result"),
                Part("Output", output, part_id="output"),
                Part("Payload", self._payload, part_id="payload"),
                Part("Run again", self.runs, part_id="run-part"),
            ),
        )

    @property
    def call(self) -> Record:
        """The call that is looked at."""
        return self._browser.record

    def on_mount(self) -> None:
        """Begin with the repetitions, if they are what is asked for."""
        if self._begin_with_runs:
            self.go(RUNS_PART)

    def on_unmount(self) -> None:
        """Look for nothing any more."""
        self._search.give_up()

    def show_runs(self) -> None:
        """Go to the repetitions of the call, the newest of which has just been made."""
        self.go(RUNS_PART)
        self._look_for_runs()

    # Showing.

    def draw(self) -> None:
        """Show another call."""
        call = self.call
        self._decision = None
        self._draw_facts()
        self._result.update(sections_content(result_sections(call)))
        self._output.update(sections_content(output_sections(call)))
        payload = self._browser.body()
        self._payload.show(
            bytes_of(call.get("payload")) if payload is None else payload, prefix=False
        )
        for frame in self._frames:
            frame.scroll_home(animate=False)
        self._search.give_up()
        self._search = runs_of(self._reader, call)
        self.runs.set_rows(())
        self.head()
        self._look_for_runs()
        self.run_worker(self._find_decision(), group="decision", exclusive=True)

    def _draw_facts(self) -> None:
        found = [*facts_sections(self.call)]
        if self._decision is not None:
            found.insert(1, self._decision)
        self._facts.update(sections_content(found))

    async def _find_decision(self) -> None:
        """Look for the message of the call's flow: it tells why this parser was chosen."""
        call = self.call
        message = await asyncio.to_thread(message_of, self._reader, call)
        if call is self.call:
            self._decision = "Why this parser", decision_lines(message)
            self._draw_facts()

    def head(self, remark: str = "") -> None:
        """Write which call it is, and what the plugin answered."""
        call = self.call
        tone = {"good": "$text-success", "bad": "$text-error"}.get(action_tone(call), "")
        repeated = call.get("rerun_of")
        self.say(
            Content.assemble(
                f" call {call.seq:,} of ",
                (clean(str(call.get("plugin"))), "bold"),
                f"  {clean(str(call.get('export')))}  ",
                (clean(str(call.get("action"))), tone),
                f"  repeats call {value_text(repeated)}" if repeated is not None else "",
                (f"   {remark}" if remark else "", "$text-warning"),
            )
        )

    def pull(self, reader: RecordReader) -> None:
        """Look for new repetitions."""
        if self._search.behind:
            self._look_for_runs()

    def _look_for_runs(self) -> None:
        if not self.is_busy_with("runs"):
            self.run_worker(self._find_runs(self._search), group="runs")

    async def _find_runs(self, search: CallSearch) -> None:
        if await asyncio.to_thread(search.look) and search is self._search:
            self.runs.set_rows(search.found)
            self.runs.move_to(self.runs.row_count - 1)

    @property
    def offered(self) -> Record:
        """The call, which is made again."""
        return self.call
