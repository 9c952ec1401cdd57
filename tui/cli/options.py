"""Options that several verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])

json_option = click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object a line.")
open_port_option = click.option(
    "--open-port", metavar="SPEC", help="Ports, such as 80,8000-8999. Default: any open port."
)


def bounded(command: F) -> F:
    """Add `--for SECONDS` and `--count N`."""
    command = click.option(
        "--for", "seconds", type=click.FloatRange(min=0), help="Stop after so many seconds."
    )(command)
    return click.option("--count", type=click.IntRange(min=1), help="Stop after so many records.")(
        command
    )
