"""Everything about one Wasm plugin, live: figures by export, calls, and what a reload changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.call_text import Section, named, sections_content
from tui.console.calls import runs_of_plugin
from tui.console.format import ABSENT, count, field_lines, number, value_text
from tui.console.keys import RUN_KEYS, STREAM_KEYS, WASM_KEYS
from tui.console.opening import ask
from tui.console.reader import RecordReader
from tui.console.screens.parts import Part, update_lines
from tui.console.screens.streaming import StreamingScreen
from tui.console.traffic_text import wasm_state_text, wasm_state_tone
from tui.console.values import items_of, map_of, texts_of, whole
from tui.console.wasm import WasmAsked, WasmVerb
from tui.console.widgets.calls import CallStream, export_table, run_table

_HEADING = "Run again"


def plugin_sections(plugin: Record) -> Iterator[Section]:
    """The plugin as it is now."""
    yield "Plugin", list(_state_lines(plugin))
    yield (
        "Calls",
        [
            named("calls", field_lines(plugin.get("calls"))[0], "of this load"),
            named("p50, p99", f"{_time(plugin, 'p50_us')}, {_time(plugin, 'p99_us')}"),
            named("traps", value_text(plugin.get("traps")), "calls that did not return"),
            named("refused", value_text(plugin.get("rejected")), "results that were"),
        ],
    )
    yield (
        "Limits",
        [
            named("deadline", value_text(plugin.get("deadline_ms"), "ms"), "of one call"),
            named("memory", _memory_text(plugin), "linear"),
        ],
    )
    if refusals := texts_of(plugin.get("refusals")):
        yield (
            "A real agent would not load it",
            [Content.styled(f"✗ {refusal}", "$text-warning") for refusal in refusals],
        )
    if lines := texts_of(plugin.get("start_logs")):
        yield "Said as it started", [Content(line) for line in lines]


def _state_lines(plugin: Record) -> Iterator[Content]:
    tone = {"good": "$text-success", "warn": "$text-warning", "bad": "$text-error"}
    yield named("state", wasm_state_text(plugin), tone=tone.get(wasm_state_tone(plugin), ""))
    if error := plugin.get("error"):
        yield Content.styled(f"✗ {clean(str(error))}", "$text-error")
    if plugin.get("poisoned"):
        yield Content("a trapped instance is kept, as an agent keeps it: its stack leaks away")
    elif plugin.get("renewed"):
        yield Content("a fresh instance took the place of one that trapped, each time")
    yield named("file", value_text(plugin.get("path")))
    yield named("hooks", ", ".join(texts_of(plugin.get("hooks"))) or "none")
    if chosen := plugin.get("custom_filter"):
        yield named("custom filter", value_text(chosen))
    yield named("dialect", value_text(plugin.get("dialect")), "as its results tell")


def _time(plugin: Record, name: str) -> str:
    return value_text(plugin.get(name), "us")


def _memory_text(plugin: Record) -> str:
    used, limit = whole(plugin.get("memory")), whole(plugin.get("memory_limit"))
    if used is None:
        return ABSENT
    return number(used, "B") + (f" of {number(limit, 'B')}, {used / limit:.1%}" if limit else "")


class WasmScreen(StreamingScreen):
    """One Wasm plugin; goes on showing what was last known when it is unloaded.

    Args:
        plugin: Its row.
        reader: Where its calls come from.
    """

    all_width = 120
    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in WASM_KEYS if binding.action != "load_wasm"),
        *RUN_KEYS,
        *STREAM_KEYS,
    ]

    def __init__(self, plugin: Record, reader: RecordReader) -> None:
        self.plugin = plugin
        self._gone = False
        self._all_runs = False
        self._figures = Static()
        self.exports = export_table(widget_id="exports")
        self.calls = CallStream(widget_id="calls")
        self.runs = run_table(widget_id="runs", empty="")
        name = plugin.get("plugin")
        self.calls.show_only(lambda call: call.get("plugin") == name)
        self._search = runs_of_plugin(reader, name)
        self._run_part = Part(_HEADING, self.runs, part_id="run-part")
        super().__init__(
            (
                Part("Plugin", VerticalScroll(self._figures), part_id="state"),
                Part("Exports", self.exports, part_id="export-part"),
                Part("Calls", self.calls, part_id="call-part"),
                self._run_part,
            ),
            (self.calls,),
        )

    @property
    def subject(self) -> Record:
        """What the screen is about."""
        return self.plugin

    def on_mount(self) -> None:
        """Show what is known already."""
        super().on_mount()
        self._draw()
        self._draw_runs()

    def on_unmount(self) -> None:
        """Look for nothing any more."""
        self._search.give_up()

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Take over the plugin's present state."""
        rows = snapshot.tables.get("wasm_plugin", ())
        row = next((row for row in rows if row.key() == self.plugin.key()), None)
        if (row is None) != self._gone:
            self._gone = row is None
            self.refresh_bindings()
        if row is not None:
            self.plugin = row
        self._draw()

    def _draw(self) -> None:
        plugin = self.plugin
        update_lines(self._figures, sections_content(plugin_sections(plugin)))
        self.exports.set_rows([map_of(each) for each in items_of(plugin.get("exports"))])
        name = clean(str(plugin.get("plugin")))
        if self._gone:
            gone = "is not loaded any more; this is what was last known"
            self.say(Content.assemble((f" {name} ", "bold"), gone))
            return
        path = clean(str(plugin.get("path") or ""))
        self.say(Content.assemble((f" {name} ", "bold"), wasm_state_text(plugin), f"  {path}"))

    def pull(self, reader: RecordReader) -> None:
        """Let the calls in view take in what is new, and look for repetitions."""
        super().pull(reader)
        if self._search.behind and not self.is_busy_with("runs"):
            self.run_worker(self._find_runs(), group="runs")

    async def _find_runs(self) -> None:
        if await asyncio.to_thread(self._search.look):
            self._draw_runs()

    def _draw_runs(self) -> None:
        """Show the repetitions that came out differently, or all of them."""
        found = self._search.found
        different = [call for call in found if call.get("differs")]
        self._run_part.heading = (
            f"{_HEADING}: {count(len(found))}, of which {count(len(different))} differ"
            if found
            else _HEADING
        )
        self.runs.say_when_empty(
            "none came out differently: d shows all"
            if found
            else "after a reload: the last messages, old and new results compared"
        )
        self.runs.set_rows(found if self._all_runs else different)
        self.rearrange()

    # Keys.

    def action_all_runs(self) -> None:
        """Show all repetitions, or only those that came out differently."""
        self._all_runs = not self._all_runs
        self._draw_runs()

    def action_reload_wasm(self) -> None:
        """Ask for the file to be loaded again."""
        self._ask("reload")

    def action_unload_wasm(self) -> None:
        """Ask for the plugin to be taken out of the chain."""
        self._ask("unload")

    def _ask(self, verb: WasmVerb) -> None:
        ask(self, WasmAsked(verb, self.plugin))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        match action:
            case "reload_wasm" | "unload_wasm":
                return not self._gone
        return super().check_action(action, parameters)
