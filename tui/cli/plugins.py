"""`boxscope plugins`: run plugin processes."""

from __future__ import annotations

from pathlib import Path

import click

from engine.core.errors import UsageError
from engine.core.records import Record
from engine.core.settings import load_settings
from tui.cli.diagnostics import say
from tui.cli.options import bounded, json_option
from tui.cli.output import choose_output
from tui.cli.stream import StreamOptions, StreamRunner


@click.group("plugins")
def command() -> None:
    """Run plugin processes and see what they send."""


@command.command("run")
@click.argument("executable", type=click.Path(path_type=Path))
@click.option("--name", default="", help="Name of the plugin. Default: the file's name.")
@click.option("--detail", default="", help="Text handed to the plugin as DETAIL.")
@click.option(
    "--task", "tasks", multiple=True, metavar="TYPE:DATA", help="Task to send once it runs."
)
@click.option("--records", is_flag=True, help="Print every record, not only the state.")
@bounded
@json_option
def run_plugin(
    executable: Path,
    name: str,
    detail: str,
    tasks: tuple[str, ...],
    records: bool,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Run the plugin EXECUTABLE where it lies, until it exits or the time is over."""
    from engine.live import LiveEngine, Selection

    parsed = [_parse_task(task) for task in tasks]
    engine = LiveEngine(Selection(agent=True), load_settings().values)
    ended: list[Record] = []

    def load_and_send() -> bool:
        loaded = engine.load_plugin(executable, name=name, detail=detail)
        for data_type, data in parsed:
            engine.send_task(loaded, data_type, data)
        return True

    def exited() -> bool:
        rows = engine.snapshot().tables["plugin_state"]
        ended[:] = [row for row in rows if row.get("state") in ("exited", "failed")]
        return len(ended) == len(rows)

    kinds = ("plugin_record", "plugin_state") if records else ("plugin_state",)
    options = StreamOptions(kinds, seconds, count, ready=load_and_send, done=exited)
    code = StreamRunner(engine, choose_output(as_json, several_kinds=records), options).run()
    return code or _outcome(ended)


def _outcome(ended: list[Record]) -> int:
    """1 if the plugin ended by itself and badly, saying how; 0 otherwise."""
    for row in ended:
        exit_code = row.get("exit_code")
        if exit_code:
            how = f"exit status {exit_code}"
            if isinstance(exit_code, int) and exit_code < 0:
                how = f"signal {-exit_code}"
            say(f"plugin {row.get('plugin')} ended with {how}; {row.get('last_stderr') or ''}")
            return 1
    return 0


def _parse_task(text: str) -> tuple[int, str]:
    number, colon, data = text.partition(":")
    if not colon or not number.strip().isdigit():
        raise UsageError(f"--task {text!r} has no number before the colon", fix="as in 7011:DATA")
    return int(number), data
