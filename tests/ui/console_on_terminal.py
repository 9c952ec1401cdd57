"""A console for tests to run in a terminal: `python -m tests.ui.console_on_terminal FILE`.

Everything on its screen that can come from outside is hostile text, in records of every kind there
is. Writes `started` and `stopped` to FILE as the engine is started and stopped; exits as
`run_console` says. With the argument `breaks` the engine breaks as soon as it is started, with
`details` the detail of a record of every kind is open, one after the other.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.snapshot import Snapshot
from tests.hostile import EVIL, hostile_cast, hostile_record, long_record
from tests.ui.fake_engine import NOW_NS, FakeEngine
from tui.console import app as app_module
from tui.console.app import ConsoleApp
from tui.console.browser import RecordBrowser
from tui.console.run import run_console
from tui.console.screens.detail import DetailScreen


class Reporting(FakeEngine):
    """Tells in a file what happens to it."""

    def __init__(self, report: Path, *, breaks: bool) -> None:
        super().__init__()
        self._report = report
        self._breaks = breaks

    def start(self) -> None:
        self._tell("started")

    def stop(self) -> None:
        self._tell("stopped")

    def snapshot(self) -> Snapshot:
        if self._breaks and self._report.exists():
            raise RuntimeError("a fault in the engine")
        return super().snapshot()

    def _tell(self, what: str) -> None:
        with self._report.open("a") as report:
            report.write(f"{what}\n")


def fill(engine: FakeEngine) -> None:
    """Put hostile text into every pane."""
    engine.set_source("probe", "degraded", EVIL, EVIL)
    for kind in KINDS:
        long = long_record(kind, NOW_NS)
        worst, shaped = (each for each in hostile_cast(NOW_NS) if each.kind == kind)
        if kind in TABLE_KEYS:
            rows = {str(each.key()): each for each in (shaped, worst, long)}
            engine.set_table(kind, rows.values())
        else:
            engine.emit(long, worst, shaped)
    for seq in (1, 2, 3):
        engine.keep_frame(seq, EVIL.encode("utf-8", "surrogatepass"))


class Details(ConsoleApp):
    """Opens the detail of every kind of record."""

    CSS_PATH = [Path(app_module.__file__).parent / str(each) for each in ConsoleApp.CSS_PATH]  # noqa: RUF012

    def on_ready(self) -> None:
        """Begin with the first."""
        self.open_detail(0)

    def open_detail(self, number: int) -> None:
        """Open one, and when that is closed the next."""
        if number == len(KINDS):
            return
        record = hostile_record(list(KINDS)[number], ts_ns=NOW_NS)
        screen = DetailScreen(RecordBrowser(self.engine, record), self.engine)
        self.push_screen(screen, lambda _closed: self.open_detail(number + 1))


if __name__ == "__main__":
    wish = sys.argv[2] if len(sys.argv) > 2 else ""
    engine = Reporting(Path(sys.argv[1]), breaks=wish == "breaks")
    fill(engine)
    if wish == "details":
        Details(engine).run()
        sys.exit()
    sys.exit(run_console(engine))
