"""`boxscope modules run`: load a module into a runner of its own, and call what it offers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.records import Record
from tui.cli.diagnostics import say
from tui.cli.options import Seconds
from tui.cli.output import choose_output
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.live import LiveEngine
    from engine.modules.runner.protocol import Wanted

STREAMS = ("module_event", "kernel_event", "log", "plugin_state")
_FAILED = frozenset(
    {"refused", "symbol_missing", "interface_missing", "panicked", "exited", "killed", "garbage"}
)
"""Any of these makes the run one that failed."""


@click.command("run")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--symbol", default="", help="What to look up in it.")
@click.option(
    "--interface",
    default="",
    metavar="METHODS",
    help="What the symbol is to satisfy, such as 'HealthCheck() error'; several separated by ;",
)
@click.option(
    "--call", default="", metavar="METHOD", help="Method of the symbol to call; () for itself."
)
@click.option(
    "--arg", "args", multiple=True, metavar="VALUE", help="An argument of the call: JSON, or text."
)
@click.option(
    "--prototype",
    "prototypes",
    multiple=True,
    metavar="C",
    help="Types of a C function, such as 'int Add(int, int)', where the file does not tell them.",
)
@click.option("--name", default="", help="What to call the module. Default: the file's name.")
@click.option("--open-deadline", type=Seconds(), default=5.0, show_default=True, help="Seconds.")
@click.option("--call-deadline", type=Seconds(), default=10.0, show_default=True, help="Seconds.")
@click.option(
    "--memory",
    type=click.IntRange(min=16),
    default=512,
    show_default=True,
    metavar="MIB",
    help="What its processes may hold together.",
)
@click.option("--anyway", is_flag=True, help="Open a Go plugin that will end its runner, too.")
@click.option("--no-events", is_flag=True, help="Do not look what it does in the kernel.")
@click.option("--records", is_flag=True, help="Print the records it writes to its pipe, too.")
@printed
def run_module(
    file: Path,
    symbol: str,
    interface: str,
    call: str,
    args: tuple[str, ...],
    prototypes: tuple[str, ...],
    name: str,
    open_deadline: float,
    call_deadline: float,
    memory: int,
    anyway: bool,
    no_events: bool,
    records: bool,
    printing: Printing,
) -> int:
    """Run the module FILE where an accident of its does no harm: this is no sandbox.

    FILE is a Python module, a shared object with a C interface, or a Go plugin. It is opened and
    initialised, SYMBOL is looked up, and METHOD called. Ends when that is done, or with --for.
    """
    from engine.core.settings import load_settings
    from engine.live import LiveEngine
    from engine.modules.runner.protocol import Limits, Wanted
    from engine.selection import Selection

    limits = Limits(open_s=open_deadline, call_s=call_deadline, memory=memory << 20)
    given = tuple(map(_parse_argument, args))
    wanted = Wanted(file, symbol, interface, call, given, prototypes, anyway, limits)
    selection = Selection(agent=True, modules=(), probe=not no_events)
    run = _Run(LiveEngine(selection, load_settings().values), wanted, name)
    options = StreamOptions(
        (*STREAMS, "plugin_record") if records else STREAMS,
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        every=run.concerns,
        ready=run.load,
        done=run.over if printing.seconds is None else lambda: False,
    )
    runner = StreamRunner(run.engine, choose_output(printing.as_json, several_kinds=True), options)
    return runner.run() or run.outcome()


class _Run:
    """One module run from the command line."""

    def __init__(self, engine: LiveEngine, wanted: Wanted, name: str) -> None:
        self.engine = engine
        self._wanted = wanted
        self._name = name
        self._opening_ns: int | None = None
        self._failure = ""

    def load(self) -> bool:
        """Load it."""
        self._name = self.engine.load_module(self._wanted, name=self._name)
        return True

    def concerns(self, record: Record) -> bool:
        """Whether a record is about the module: of kernel events, what it did from `opening` on."""
        if record.kind == "kernel_event":
            mine = record.get("module") == self._name
            return mine and self._opening_ns is not None and record.ts_ns >= self._opening_ns
        if record.kind == "module_event":
            event = record.get("event")
            if event == "opening":
                self._opening_ns = self._opening_ns or record.ts_ns
            if event in _FAILED:
                symbol = f"{record.get('symbol')}: " if record.get("symbol") else ""
                self._failure = f"{event}: {symbol}{record.get('text')}"
        return True

    def over(self) -> bool:
        """Whether everything that was asked for is done, or the module is gone."""
        return bool({"ready", "ended"} & self.engine.module_outcomes(self._name))

    def outcome(self) -> int:
        """1 if something failed, which is said."""
        if self._failure:
            say(f"module {self._name}: {self._failure}")
        return 1 if self._failure else 0


def _parse_argument(text: str) -> str | int | float:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (int, float, str)) else text
