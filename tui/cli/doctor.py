"""`boxscope doctor`: what is needed, what is missing, what to type."""

from __future__ import annotations

import click

from tui.cli.options import json_option
from tui.cli.output import JsonOutput, write_lines


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Each need: found or missing, what its absence costs, and the command that fixes it."""
    from engine.doctor import examine

    needs = examine()
    if as_json:
        output = JsonOutput()
        for need in needs:
            output.object({"kind": "need", **need.as_json()})
    else:
        width = max(len(need.name) for need in needs)
        for need in needs:
            mark = "found  " if need.found else "MISSING"
            write_lines([f"{mark}  {need.name:<{width}}  {need.detail}"])
            if not need.found:
                write_lines([f"         costs you: {need.costs}", f"         fix: {need.fix}"])
    return 0 if all(need.found for need in needs) else 3
