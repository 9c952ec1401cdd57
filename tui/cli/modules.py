"""`boxscope modules`: in-process plugins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from engine.core.errors import ModuleLoadError, UsageError
from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from tui.cli.module_run import run_module
from tui.cli.options import json_option
from tui.cli.output import JsonOutput, write_lines

if TYPE_CHECKING:  # the reader of ELF files is loaded only when a file is really looked at
    from engine.modules.conformance import Conformance
    from engine.modules.inspection import Inspection
    from engine.modules.outcome import Verdict
    from engine.modules.signature import Interface


@click.group("modules")
def command() -> None:
    """Go plugins, C shared objects and Python modules."""


command.add_command(run_module)


@command.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--interface",
    "interfaces",
    metavar="METHODS",
    multiple=True,
    help='Tell which symbols satisfy it: "HealthCheck() error; Close()". May be given again.',
)
@click.option(
    "--host",
    metavar="EXE",
    type=click.Path(path_type=Path),
    help="Tell what plugin.Open of this program would do with each FILE, one after the other.",
)
@click.option(
    "--init-panics",
    "panicking",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --host: take it that initialising this FILE panics and that the host recovers.",
)
@json_option
def check_modules(
    files: tuple[str, ...],
    interfaces: tuple[str, ...],
    host: Path | None,
    panicking: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Tell what each FILE is, what it offers and what it can reach; nothing of it is executed.

    Succeeds if every FILE is a module that this box can load, with --host if it would open
    there, and with --interface if one of its symbols satisfies it. That a file opens does not
    mean that it is safe, and that it is refused does not mean that nothing of it has run.
    """
    from engine.modules.opening import open_in_turn
    from engine.modules.signature import parse_interface

    if panicking and host is None:
        raise UsageError("--init-panics says something about a host", fix="give --host EXE too")
    wanted = parse_interface(*interfaces) if interfaces else None
    verdicts = open_in_turn(host, files, panicking) if host else ()
    good = True
    for index, file in enumerate(files):
        verdict = verdicts[index] if host else None
        good &= _check(file, wanted, verdict, as_json=as_json, alone=len(files) == 1)
    return 0 if good else 1


def _check(
    file: str, wanted: Interface | None, verdict: Verdict | None, *, as_json: bool, alone: bool
) -> bool:
    """Print what is known of one file; returns whether all that was asked is so."""
    from engine.modules.conformance import conformances
    from engine.modules.filekind import MODULES
    from engine.modules.inspection import inspect

    try:
        found = inspect(Path(file))
    except ModuleLoadError:
        if verdict is None:
            raise
        found = None  # plugin.Open has its own words for it
    judged = conformances(found, wanted) if found and wanted and found.kind in MODULES else ()
    known = _Known(file, found, verdict, wanted, judged)
    if as_json:
        output = JsonOutput()
        output.object(known.as_json())
        output.flush()
    else:
        write_lines(known.lines(alone=alone))
    return known.good


class _Known(NamedTuple):
    """What is known of one file."""

    file: str
    found: Inspection | None
    verdict: Verdict | None
    """What plugin.Open of a host does with it, if that was asked for."""
    wanted: Interface | None
    judged: tuple[Conformance, ...]

    @property
    def good(self) -> bool:
        """Whether all that was asked is so."""
        if self.verdict:
            loads = self.verdict.outcome == "opens"
        else:
            loads = self.found is not None and self.found.loadable
        return loads and (self.wanted is None or any(each.conforms for each in self.judged))

    def as_json(self) -> dict[str, JsonValue]:
        """It as an object."""
        from engine.modules.inspection_json import conformance_as_json, inspection_as_json

        told = inspection_as_json(self.found) if self.found else {"file": clean(self.file)}
        shown: dict[str, JsonValue] = {"kind": "module_verdict", **told}
        if self.verdict:
            shown["host"] = self.verdict.as_json()
        if self.wanted:
            shown["interface"] = conformance_as_json(self.wanted, self.judged)
        return shown

    def lines(self, *, alone: bool) -> Iterator[str]:
        """It for people.

        Args:
            alone: No other file is told of.
        """
        from tui.module_text import conformance_lines, verdict_lines
        from tui.opening_text import opening_lines

        if self.verdict:
            yield from opening_lines(self.verdict)
        if self.found and (alone or self.verdict is None):
            if not alone:
                yield from ("", clean(self.file))
            elif self.verdict:
                yield ""
            yield from verdict_lines(self.found)
        if self.wanted:
            yield from conformance_lines(self.wanted, self.judged)
