"""The inspector of one message: who said it, who parsed it and why, and what plugins changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.clock import rfc3339
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.browser import RecordBrowser
from tui.console.call_text import Section, change_lines, decision_lines, named, sections_content
from tui.console.calls import calls_of
from tui.console.format import ABSENT, field_lines, value_text
from tui.console.keys import CALL_KEYS, RECORD_KEYS
from tui.console.reader import RecordReader
from tui.console.reasons import SESSIONS
from tui.console.screens.browsing import BrowsingScreen
from tui.console.screens.parts import Part
from tui.console.traffic_text import UNREADABLE, is_unreadable, parser_text, request_text, side_text
from tui.console.values import items_of, map_of, optional
from tui.console.wasm import RunsAgain
from tui.console.widgets.calls import call_table

_UNCHANGED = Content.styled("no plugin changed it", "dim")


def message_sections(message: Record) -> Iterator[Section]:
    """What the message is, and whose."""
    yield "Message", list(_facts(message))
    yield (
        "Between",
        [
            named("client", value_text(message.get("src")), side_text(message, "client")),
            named("server", value_text(message.get("dst")), side_text(message, "server")),
            named("flow", value_text(message.get("flow")), value_text(message.get("source"))),
        ],
    )
    attributes = map_of(message.get("attributes"))
    yield (
        "Attributes",
        [
            Content.assemble((f"{clean(str(name)):<14}", "bold"), f"  {value_text(value)}")
            for name, value in attributes.items()
        ]
        or [Content.styled("none", "dim")],
    )


def _facts(message: Record) -> Iterator[Content]:
    yield named("time", rfc3339(message.ts_ns))
    yield named("protocol", value_text(message.get("protocol")))
    if is_unreadable(message):
        yield named("", f"✗ {UNREADABLE}", tone="$text-warning")
    yield named("parsed by", parser_text(message))
    yield named("request", request_text(message) or ABSENT)
    yield named("status", value_text(message.get("status")))
    yield named("latency", field_lines(message.get("latency_ms"), "ms")[0])
    session = str(message.get("session") or "")
    yield named("session", clean(session) or ABSENT, SESSIONS.get(session, ""))
    for name, shown in (("request_bytes", "request size"), ("response_bytes", "response size")):
        yield named(shown, field_lines(message.get(name), "B")[0])


def changes_of(message: Record, calls: Sequence[Record]) -> list[Content]:
    """What plugins changed in the message."""
    told = optional(message, "merged")
    if told is not None:
        return change_lines(told) or [_UNCHANGED]
    lines: list[Content] = []
    for call in calls:
        changes = items_of(call.get("merged"))
        if changes:
            plugin, export = clean(str(call.get("plugin"))), clean(str(call.get("export")))
            where = f"{plugin} in call {call.seq}, {export}"
            lines += [Content.styled(where, "bold underline"), *change_lines(changes)]
    return lines or [_UNCHANGED]


class MessageScreen(BrowsingScreen, RunsAgain):
    """One message; stays on it while others arrive.

    Args:
        browser: The messages, this one first.
        reader: Where the calls made for it come from.
    """

    all_width = 120
    BINDINGS: ClassVar[list[BindingType]] = [*CALL_KEYS, *RECORD_KEYS]

    def __init__(self, browser: RecordBrowser, reader: RecordReader) -> None:
        self._reader = reader
        self._facts, self._decision, self._changes = Static(), Static(), Static()
        self._frames = tuple(
            VerticalScroll(each) for each in (self._facts, self._decision, self._changes)
        )
        self.calls = call_table(widget_id="calls", empty="no plugin was called for it")
        facts, decision, changes = self._frames
        super().__init__(
            browser,
            (
                Part("Message", facts, part_id="message"),
                Part("Why this parser", decision, part_id="decision"),
                Part("Before and after", changes, part_id="changes"),
                Part("Calls", self.calls, part_id="call-part"),
            ),
        )

    @property
    def message(self) -> Record:
        """The message that is looked at."""
        return self._browser.record

    def draw(self) -> None:
        """Show another message."""
        message = self.message
        self._facts.update(sections_content(message_sections(message)))
        self._decision.update(Content("\n").join(decision_lines(message)))
        self._changes.update(Content.styled("looking for the calls made for it", "dim"))
        self.calls.set_rows(())
        for frame in self._frames:
            frame.scroll_home(animate=False)
        self.head()
        self.run_worker(self._find_calls(), group="calls", exclusive=True)

    async def _find_calls(self) -> None:
        message = self.message
        calls = await asyncio.to_thread(calls_of, self._reader, message)
        if message is self.message:
            self.calls.set_rows(calls)
            self._changes.update(Content("\n").join(changes_of(message, calls)))

    def head(self, remark: str = "") -> None:
        """Write which message it is."""
        message = self.message
        self.say(
            Content.assemble(
                f" message {message.seq:,}  ",
                (value_text(message.get("protocol")), "bold"),
                f"  {request_text(message)}",
                (f"   {remark}" if remark else "", "$text-warning"),
            )
        )

    # Keys.

    @property
    def offered(self) -> Record:
        """The selected call, else whichever was made for the message."""
        selected = self.calls.cursor_row
        return self.message if selected is None else selected

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        if action in ("run_again", "edit_payload"):
            return self.calls.row_count > 0
        return super().check_action(action, parameters)
