"""The options of a verb that opens the console, or prints a stream instead."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from engine.core.errors import UsageError
from engine.core.kinds import KINDS
from tui.cli.options import bounded, filter_option, json_option

if TYPE_CHECKING:
    from tui.cli.output import Output


@dataclass(frozen=True)
class Headless:
    """The stream that was asked for instead of the console."""

    kinds: tuple[str, ...]
    """Kinds of the records; empty for those that the verb chooses."""
    filter_text: str
    seconds: float | None
    count: int | None
    as_json: bool

    def output(self, kinds: Sequence[str]) -> Output:
        """Where records of some kinds are printed."""
        from tui.cli.output import choose_output

        return choose_output(self.as_json, several_kinds=len(kinds) > 1)


def or_headless(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--headless` and what goes with it; the command gets them as `stream`, or None.

    The command's own options are listed before these.
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
    @filter_option
    @bounded
    @json_option
    @functools.wraps(command)
    def with_stream(
        *arguments: object,
        headless: bool,
        kinds: tuple[str, ...],
        filter_text: str,
        seconds: float | None,
        count: int | None,
        as_json: bool,
        **options: Any,
    ) -> int:
        streamed = kinds or filter_text or seconds is not None or count is not None or as_json
        if streamed and not headless:
            raise UsageError(
                "--kind, --filter, --for, --count and --json are for a stream", fix="add --headless"
            )
        stream = Headless(kinds, filter_text, seconds, count, as_json) if headless else None
        return command(*arguments, stream=stream, **options)

    return with_stream
