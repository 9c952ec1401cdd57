"""Write docs/reference/ from what is declared: the commands, the record kinds, the keys.

With `--check` nothing is written; the exit code tells whether all pages are as they should be.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import click
from textual.binding import Binding

from engine.core.fields import COMMON, Field
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.recording.useful import USEFUL
from engine.recording.views import HELP, VIEWS
from tui.cli.main import VERBS, boxscope
from tui.console.keymap import readable_key
from tui.console.keys import SECTIONS

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
WIDTH = 100
_NOTE = "<!-- Written by `make docs` from what the program declares; change that. -->"
_TABLE = ("field", "type", "unit", "column", "what it is")


def table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """A table; marks that would end a cell are written so that they do not."""
    yield f"| {' | '.join(headings)} |"
    yield f"| {' | '.join('---' for _ in headings)} |"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def beginning(title: str, text: str) -> Iterator[str]:
    """What a page begins with."""
    yield from (f"# {title}", "", _NOTE, "", *textwrap.wrap(text, WIDTH))


# Commands.


def commands_page() -> Iterator[str]:
    """Every command with its help, as `--help` prints it."""
    yield from beginning(
        "Commands",
        "What `boxscope COMMAND --help` prints. How commands end: 0 ok, 1 failed or refused, "
        "2 wrong usage, 3 a right or a dependency is missing (with the line that mends it), "
        "130 interrupted.",
    )
    settings = {**boxscope.context_settings, "terminal_width": WIDTH}
    with click.Context(boxscope, info_name="boxscope", **settings) as context:
        yield from command_section(context)
        for verb in VERBS:
            yield from verb_sections(verb, context)


def verb_sections(verb: str, context: click.Context) -> Iterator[str]:
    """A command, and those that it has in turn."""
    command = boxscope.get_command(context, verb)
    assert command is not None, verb
    with click.Context(command, context, verb, terminal_width=WIDTH) as inner:
        yield from command_section(inner)
        if isinstance(command, click.Group):
            for name, each in command.commands.items():
                with click.Context(each, inner, name, terminal_width=WIDTH) as innermost:
                    yield from command_section(innermost)


def command_section(context: click.Context) -> Iterator[str]:
    """One command's help under its name."""
    yield from ("", f"## {context.command_path}", "", "```")
    yield from (line.rstrip() for line in context.get_help().splitlines())
    yield "```"


# Records.


def records_page() -> Iterator[str]:
    """Every kind of record with its fields, and the views of a recording."""
    yield from beginning(
        "Records",
        "What `--json` prints, what `--filter` knows, and the tables of a recording. Every record "
        "has the common fields; `pid` and `comm` are absent where there is no process. Kinds with "
        "rows are states: a record tells how a row is from then on.",
    )
    yield from ("", "## Common fields", "")
    yield from table(_TABLE, map(field_row, COMMON))
    for kind in KINDS.values():
        yield from ("", f"## {kind.name}", "", kind.help)
        if kind.name in TABLE_KEYS:
            key = ", ".join(f"`{name}`" for name in TABLE_KEYS[kind.name])
            yield f"A row for each {key}." if key else "One row."
        yield ""
        yield from table(_TABLE, map(field_row, kind.fields))
    yield from ("", "## Views of a recording", "")
    yield from table(("view", "holds"), ((f"`{name}`", HELP[name]) for name in VIEWS))


def field_row(field: Field) -> tuple[str, ...]:
    """A field; what is not a column by itself is said to be so."""
    column = "hidden" if field.hidden else f"priority {field.priority}"
    outside = " From outside: sanitised." if field.untrusted else ""
    return f"`{field.name}`", field.type, field.unit, column, field.help + outside


# Keys.


def keys_page() -> Iterator[str]:
    """Every key of the console, by where it applies."""
    yield from beginning(
        "Keys",
        "`?` shows these in the console, and `ctrl+p` offers those that apply by name. The id is "
        "what a key is remapped by.",
    )
    for title, bindings in SECTIONS:
        yield from ("", f"## {title}", "")
        yield from table(("key", "does", "id"), map(binding_row, bindings))


def binding_row(binding: Binding) -> tuple[str, ...]:
    """A binding as the help shows it."""
    keys = " ".join(f"`{readable_key(key)}`" for key in binding.key.split(","))
    return keys, binding.tooltip or binding.description, f"`{binding.id}`"


# Questions.


def queries_page() -> Iterator[str]:
    """The useful questions."""
    yield from beginning(
        "Useful questions",
        '`boxscope query FILE "SELECT ..."` asks a recording, `Q` in the console a live box or the '
        "recording that is replayed, and `f2` there offers these. The columns are those of the "
        "[records](records.md).",
    )
    for question in USEFUL:
        yield from ("", f"## {question.title}", "", "```sql", question.sql, "```")


PAGES: Mapping[str, Callable[[], Iterator[str]]] = {
    "commands.md": commands_page,
    "records.md": records_page,
    "keys.md": keys_page,
    "queries.md": queries_page,
}


def written() -> dict[Path, str]:
    """Every page as it should be."""
    return {REFERENCE / name: "\n".join(page()) + "\n" for name, page in PAGES.items()}


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    pages = written()
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: docs.py [--check]\n")
        return 2
    stale = [path for path, text in pages.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        sys.stderr.write(f"{path.name}: {'stale; make docs' if arguments else 'written'}\n")
        if not arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(pages[path], encoding="utf-8")
    return 1 if stale and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
