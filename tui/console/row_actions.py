"""What enter does to a row: the screen for it opens, whatever list the row is in."""

from __future__ import annotations

from engine.core.records import Record
from tui.console import screens
from tui.console.links import Link
from tui.console.panes.plugins import PluginRow
from tui.console.panes.port_rows import PortRow
from tui.console.reasons import Gap
from tui.console.scope import Process
from tui.console.subject_actions import SubjectActions
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView
from tui.console.widgets.stream_rows import Skipped


class RowActions(SubjectActions):
    """The part of the application that knows which screen is about what."""

    async def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Open what there is to know about a row."""
        view = message.view
        match message.row:
            case PluginRow(record=record):
                await self._open_record(record, view)
            case PortRow(record=record) if record.pid is not None:
                await self._open_process(Process(record.pid, record.comm or ""))
            case PortRow(record=record):
                await self.show_detail(record, view)
            case Link(target=Process() as process):
                await self._open_process(process)
            case Link(target=Record() as record):
                await self._open_record(record, None)
            case Record() as record:
                await self._open_record(record, view)
            case Skipped() as skipped if isinstance(view, StreamView):
                chosen = bool(view.filter or view.scope)
                gap = Gap(view.kind, skipped.seq, skipped.number, skipped.missed, chosen)
                await self.cover(screens.GapScreen(gap, self.engine.snapshot()))

    async def _open_record(self, record: Record, view: object) -> None:
        """Open the screen about a record of its kind; for most that is the detail."""
        match record.kind:
            case "plugin_state":
                await self.cover(screens.PluginScreen(record, self.main.history))
            case "plugin_record" | "plugin_fault":
                await self.cover(screens.RecordScreen(self.browser_of(record, view)))
            case "l7_message":
                await self.cover(screens.MessageScreen(self.browser_of(record, view), self.engine))
            case "wasm_result":
                await self.cover(screens.CallScreen(self.browser_of(record, view), self.engine))
            case "wasm_plugin":
                await self.cover(screens.WasmScreen(record, self.engine))
            case _:
                await self.show_detail(record, view)

    async def _open_process(self, process: Process) -> None:
        await self.cover(screens.ProcessScreen(process, self.engine))

    def show_runs(self, call: Record) -> None:
        """Show the repetitions of a call, one of which has just been made."""
        top = self.overlay
        if isinstance(top, screens.CallScreen) and top.call.seq == call.seq:
            top.show_runs()
        else:
            screen = screens.CallScreen(self.browser_of(call, None), self.engine, runs=True)
            self.push_screen(screen, self.look)
