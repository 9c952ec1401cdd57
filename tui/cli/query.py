"""`boxscope query`: questions in SQL to a recording."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import FailedError, UsageError
from engine.recording.rows import ROWS, Row
from tui.cli.diagnostics import INTERRUPTED, Interruption, leave_quietly, report, say
from tui.cli.options import Seconds, json_option
from tui.cli.output import write_csv, write_json_rows, write_rows

if TYPE_CHECKING:
    from engine.recording.query import Query


@click.command("query")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("sql", default="")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Comma-separated values under their names.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=ROWS,
    show_default=True,
    help="Rows at most; 0 for all.",
)
@click.option("--timeout", type=Seconds(), default=60.0, show_default=True, help="Seconds at most.")
def command(file: Path, sql: str, as_json: bool, as_csv: bool, limit: int, timeout: float) -> int:
    """Ask the recording FILE a question in SQL; without one, list what can be asked."""
    from engine.recording.query import Query

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other", fix="give one of them")
    with Interruption() as interruption:
        query = Query.open(file, seconds=timeout or None, interrupted=lambda: interruption.asked)
        for fault in query.faults[:3]:
            say(f"{file}: {fault}; skipped")
        try:
            _answer(query, sql, as_json, as_csv, limit)
        except BrokenPipeError:
            leave_quietly()
        except FailedError as error:
            return INTERRUPTED if interruption.asked else report(error)
        finally:
            query.close()
    return 0


def _answer(query: Query, sql: str, as_json: bool, as_csv: bool, limit: int) -> None:
    write = write_json_rows if as_json else write_csv if as_csv else write_rows
    if not sql.strip():
        write(("name", "type", "rows", "columns", "help"), list(_relations(query)))
        return
    answer = query.answer(sql, rows=limit or None)
    write(answer.columns, answer.rows)
    if answer.cut:
        say(f"only the first {limit} rows; --limit 0 for all")


def _relations(query: Query) -> Iterator[Row]:
    for relation in query.relations():
        columns = " ".join(relation.columns)
        yield relation.name, relation.type, relation.rows, columns, relation.help
