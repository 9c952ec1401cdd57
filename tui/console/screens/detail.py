"""Everything known about one record of any kind: why it is here, when, every field, its bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.engine import Engine
from tui.console.browser import RecordBrowser
from tui.console.format import size
from tui.console.keymap import with_keys
from tui.console.keys import DETAIL_KEYS, GAP_KEYS, RECORD_KEYS
from tui.console.links import Link, links_of, process_of
from tui.console.opening import ask
from tui.console.reasons import Gap, gap_lines, why_lines
from tui.console.record_text import bytes_in, distance, fields_content, times_lines
from tui.console.screens.browsing import BrowsingScreen
from tui.console.screens.parts import Part, PartsScreen, update_lines
from tui.console.widgets.columns import Column
from tui.console.widgets.hexdump import HexView
from tui.console.widgets.lines import LineView
from tui.console.widgets.table import TableView


def link_table() -> TableView[Link]:
    """What a record belongs to, a line each."""
    return TableView(
        (
            Column[Link]("what", "belongs to", 14, lambda link: link.what, priority=1),
            Column[Link]("name", "which", 20, lambda link: link.name, priority=1, flex=True),
        ),
        lambda link: link.key,
        empty="nothing else that is kept",
        widget_id="links",
    )


def _section(title: str, lines: Sequence[Content]) -> Content:
    return Content("\n").join([Content.styled(title, "bold underline"), *lines, Content("")])


class DetailScreen(BrowsingScreen):
    """The detail of one record; stays on it while others arrive.

    Args:
        browser: The record, and those around it.
        engine: Where what it belongs to comes from.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*RECORD_KEYS, *DETAIL_KEYS]

    def __init__(self, browser: RecordBrowser, engine: Engine) -> None:
        self._engine = engine
        self._why, self._times, self._fields = Static(), Static(), Static()
        self._frame = VerticalScroll(self._why, self._times, self._fields)
        self._hex = HexView(empty="no bytes of it are kept")
        self._all_bytes: list[tuple[str, bytes]] = []
        self._bytes_shown = 0
        self.links = link_table()
        self._bytes_part = Part("Bytes", self._hex, part_id="bytes")
        super().__init__(
            browser,
            (
                Part("Record", self._frame, part_id="fields"),
                self._bytes_part,
                Part("Belongs to", self.links, part_id="link-part"),
            ),
        )

    # Showing.

    def draw(self) -> None:
        """Show another record."""
        record, snapshot = self.subject, self._engine.snapshot()
        kind = KINDS[record.kind]
        self._why.update(_section("Why it is here", why_lines(record, snapshot)))
        self._fields.update(
            Content("\n").join(
                [
                    Content.assemble((kind.name, "bold underline"), (f"  {kind.help}", "dim")),
                    fields_content(record),
                ]
            )
        )
        self._frame.scroll_home(animate=False)
        self._all_bytes, self._bytes_shown = list(bytes_in(record, self._browser.body())), 0
        self._draw_bytes()
        self.links.set_rows(())
        self._show_times(snapshot.wall_ns)
        self.run_worker(self._find_links(), group="links", exclusive=True)

    def _draw_bytes(self) -> None:
        several = len(self._all_bytes) > 1
        title, content = self._all_bytes[self._bytes_shown] if self._all_bytes else ("Bytes", None)
        length = f", {size(len(content))}" if content else ""
        others = with_keys(self.app, " ({detail.bytes}: others)") if several else ""
        self._bytes_part.heading = f"{title}{length}{others}"
        self._hex.show(content, prefix=self.subject.kind == "plugin_record")
        self.set_class(not self._all_bytes, "-no-bytes")
        self.rearrange()

    async def _find_links(self) -> None:
        record = self.subject
        found = await asyncio.to_thread(links_of, record, self._engine)
        if record is self.subject:
            self.links.set_rows(found)

    def show(self, snapshot: Snapshot) -> None:
        """Tell how long ago it was by now."""
        self._show_times(snapshot.wall_ns)

    def head(self, remark: str = "") -> None:
        """Write which record it is, and how long ago it was."""
        self._show_times(self._engine.snapshot().wall_ns, remark)

    def _show_times(self, now_ns: int, remark: str = "") -> None:
        record = self.subject
        update_lines(self._times, _section("Times", times_lines(record, now_ns)))
        number = f" {record.seq:,}" if record.seq else ""
        self.say(
            Content.assemble(
                " ",
                (f"{record.kind}{number}", "bold"),
                f"  {distance(record.ts_ns, now_ns)}",
                (f"   {remark}" if remark else "", "$text-warning"),
            )
        )

    def rearrange(self) -> None:
        """Leave no room for bytes where there are none."""
        super().rearrange()
        if not self._all_bytes and not self.single:
            self._bytes_part.display = False

    # Keys.

    def action_other_bytes(self) -> None:
        """Show other bytes of the same record."""
        self._bytes_shown = (self._bytes_shown + 1) % len(self._all_bytes)
        self._draw_bytes()

    def action_process(self) -> None:
        """Open the process the record is of."""
        process = process_of(self.subject)
        if process is not None:
            ask(self, LineView.RowChosen(Link("process", str(process), process)))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        match action:
            case "step":
                return self.subject.kind not in TABLE_KEYS
            case "other_bytes":
                return len(self._all_bytes) > 1
            case "process":
                return process_of(self.subject) is not None
        return super().check_action(action, parameters)


class GapScreen(PartsScreen):
    """Which records a stream leaves out, and why.

    Args:
        gap: What is left out.
        snapshot: What the source has lost so far.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*GAP_KEYS]

    def __init__(self, gap: Gap, snapshot: Snapshot) -> None:
        self._gap = gap
        self._lines = Static(_section("Why they are not here", gap_lines(gap, snapshot)))
        super().__init__((Part("Gap", VerticalScroll(self._lines), part_id="gap"),))

    def on_mount(self) -> None:
        """Say what is missing."""
        super().on_mount()
        kind = clean(self._gap.kind)
        self.say(Content.assemble(" ", (f"{self._gap.number:,} of {kind}", "bold"), " left out"))

    def show(self, snapshot: Snapshot) -> None:
        """What has been lost by now."""
        content = _section("Why they are not here", gap_lines(self._gap, snapshot))
        if content.plain != str(self._lines.content):
            update_lines(self._lines, content)
