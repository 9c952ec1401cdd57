"""The options of what is printed of a stream, or printed instead of opening the console."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

from engine.core.errors import UsageError
from engine.core.kinds import KINDS
from tui.cli.options import Seconds, json_option

filter_option = click.option(
    "--filter",
    "filter_text",
    default="",
    metavar="EXPR",
    help="Only records like this, as in 'comm == nginx and latency_ms > 5ms'.",
)


@dataclass(frozen=True)
class Printing:
    """What of a stream is printed, until when, and how."""

    filter_text: str
    seconds: float | None
    count: int | None
    as_json: bool

    @property
    def asked(self) -> bool:
        """Whether anything of it was asked for."""
        bounded = self.seconds is not None or self.count is not None
        return bool(self.filter_text) or bounded or self.as_json


def printed(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--filter`, `--count`, `--for` and `--json`; the command gets them as `printing`."""

    @filter_option
    @click.option("--count", type=click.IntRange(min=1), help="Stop after so many records.")
    @click.option("--for", "seconds", type=Seconds(), help="Stop after so many seconds.")
    @json_option
    @functools.wraps(command)
    def with_printing(
        *arguments: object,
        filter_text: str,
        seconds: float | None,
        count: int | None,
        as_json: bool,
        **options: Any,
    ) -> int:
        printing = Printing(filter_text, seconds, count, as_json)
        return command(*arguments, printing=printing, **options)

    return with_printing


def or_printed(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--headless`, `--kind` and what `printed` adds; the command gets `kinds`, and `printing`.

    Without `--headless` that is None, and nothing that goes with it may be given.
    """

    @click.option("--headless", is_flag=True, help="A stream of records instead of the console.")
    @click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice([*KINDS]),
        metavar="KIND",
        help="With --headless: only records of this kind, such as kernel_event.",
    )
    @printed
    @functools.wraps(command)
    def with_stream(
        *arguments: object,
        headless: bool,
        kinds: tuple[str, ...],
        printing: Printing,
        **options: Any,
    ) -> int:
        if (kinds or printing.asked) and not headless:
            raise UsageError(
                "--kind, --filter, --for, --count and --json are for a stream", fix="add --headless"
            )
        stream = printing if headless else None
        return command(*arguments, kinds=kinds, printing=stream, **options)

    return with_stream
