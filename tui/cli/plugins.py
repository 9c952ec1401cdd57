"""`boxscope plugins`: run plugin processes, one or a whole list; copy the SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import PluginError, UsageError
from engine.core.records import Record
from tui.cli.diagnostics import say
from tui.cli.export_options import exporting
from tui.cli.output import choose_output, write_lines
from tui.cli.plugin_sync import sync_plugins
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from tui.cli.plugin_engine import PluginEngine

STREAMS = ("plugin_record", "plugin_fault", "log", "plugin_state")
"""What `--records` prints; without it, the last two."""


@click.group("plugins")
def command() -> None:
    """Run plugin processes and see what they send."""


command.add_command(sync_plugins)


@command.command("sdk")
def print_sdk() -> int:
    """Print the Python SDK: a single file to put beside a plugin, as sdk.py."""
    import engine.agent

    source = Path(engine.agent.__path__[0], "sdk.py").read_text(encoding="utf-8")
    write_lines(source.splitlines())
    return 0


@command.command("run")
@click.argument("executable", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the plugin. Default: the file's name.")
@click.option("--detail", default="", help="Text handed to the plugin as DETAIL.")
@click.option(
    "--inherit-env", is_flag=True, help="With --detail: keep our environment, unlike an agent."
)
@click.option(
    "--directory",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Work in this directory, as for a plugin that finds its files there. Default: a private "
    "one that is removed at the end.",
)
@click.option(
    "--task", "tasks", multiple=True, metavar="TYPE:DATA", help="Task to send once it runs."
)
@click.option("--strict", is_flag=True, help="Reject tasks where an agent would.")
@click.option("--records", is_flag=True, help="Print every record, not only the state.")
@click.option("--restart", is_flag=True, help="Start it again when it has exited.")
@click.option("--watch", is_flag=True, help="Start it again when its file has changed.")
@click.option(
    "--faithful",
    is_flag=True,
    help="Be as harsh as an agent: drop records its buffer would not take, and stop the plugin by "
    "closing both pipes, then SIGKILL after 10 s.",
)
@click.option(
    "--heartbeat",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between heartbeat records 1000 and 1001; 0 for none.",
)
@exporting
@printed
def run_plugin(
    executable: Path,
    name: str,
    detail: str,
    inherit_env: bool,
    directory: Path | None,
    tasks: tuple[str, ...],
    strict: bool,
    records: bool,
    restart: bool,
    watch: bool,
    faithful: bool,
    heartbeat: float,
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """Run the plugin EXECUTABLE where it lies, until it exits or the time is over."""
    from tui.cli.plugin_engine import PluginEngine

    parsed = [_parse_task(task) for task in tasks]
    engine = PluginEngine(heartbeat_s=heartbeat, faithful=faithful, flags=otlp)
    load = partial(
        engine.plugins.load,
        executable,
        name=name,
        detail=detail,
        directory=directory,
        inherit_env=inherit_env,
        restart=restart,
        watch=watch,
    )
    run = _Run(engine, load, parsed, strict)
    options = StreamOptions(
        STREAMS if records else STREAMS[2:],
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        ready=run.begin,
        done=lambda: run.over(comes_back=restart or watch),
    )
    output = choose_output(printing.as_json, several_kinds=True)
    return StreamRunner(engine, output, options).run() or run.outcome()


class _Run:
    """One plugin run from the command line.

    Args:
        engine: Runs it.
        load: Has the engine load it; gives its name.
        tasks: What is sent to it then.
        strict: A task that an agent would reject is said, and the next one sent.
    """

    def __init__(
        self,
        engine: PluginEngine,
        load: Callable[[], str],
        tasks: Sequence[tuple[int, str]],
        strict: bool,
    ) -> None:
        self._name = ""
        self._engine = engine
        self._load = load
        self._tasks = tasks
        self._strict = strict
        self._rejected = False
        self._ended: Record | None = None

    def begin(self) -> bool:
        """Load it and send the tasks."""
        self._name = self._load()
        self._send(self._tasks)
        return True

    def _send(self, tasks: Iterable[tuple[int, str]]) -> None:
        for data_type, data in tasks:
            try:
                self._engine.plugins.send_task(self._name, data_type, data, strict=self._strict)
            except PluginError as error:
                if not self._strict:
                    raise
                self._rejected = True
                say(f"task {data_type} is rejected: {error}")

    def over(self, *, comes_back: bool) -> bool:
        """Whether it has ended, for good."""
        (row,) = self._engine.snapshot().tables["plugin_state"]
        ended = row.get("state") in ("exited", "failed")
        self._ended = row if ended else None
        return ended and not comes_back

    def outcome(self) -> int:
        """1 if it ended by itself and badly, or a task was rejected; says what became of tasks."""
        for status in self._engine.plugins.tasks(self._name):
            say(f"task {status}")
        exit_code = self._ended.get("exit_code") if self._ended is not None else 0
        if self._ended is None or not exit_code:
            return 1 if self._rejected else 0
        how = f"exit status {exit_code}"
        if isinstance(exit_code, int) and exit_code < 0:
            how = f"signal {-exit_code}"
        say(f"plugin {self._name} ended with {how}; {self._ended.get('last_stderr') or ''}")
        return 1


def _parse_task(text: str) -> tuple[int, str]:
    number, colon, data = text.partition(":")
    try:
        data_type = int(number)
    except ValueError:
        data_type = None
    if not colon or data_type is None:
        raise UsageError(f"--task {text!r} has no number before the colon", fix="as in 7011:DATA")
    return data_type, data
