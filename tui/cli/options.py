"""Options that several verbs share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import click

json_option = click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object a line.")
open_port_option = click.option(
    "--open-port", metavar="SPEC", help="Ports, such as 80,8000-8999. Default: any open port."
)


class Seconds(click.FloatRange):
    """A time that is not negative; "nan" would be neither and never pass."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number.

        Raises:
            click.BadParameter: if it is none.
        """
        seconds: float = super().convert(value, param, ctx)  # type: ignore[arg-type]
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def reading(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of how traffic is read; the command gets them as `reading`, by setting."""

    @click.option(
        "--reassemble", is_flag=True, default=None, help="Put TCP streams in order first."
    )
    @click.option(
        "--order",
        type=click.Choice(["documented", "agent"]),
        help="HTTP before Wasm as DeepFlow documents it (the default), or as its agent does.",
    )
    @click.option(
        "--cache", is_flag=True, default=None, help="Remember what a server speaks, as an agent."
    )
    @click.option(
        "--truncation",
        type=click.IntRange(256, 65_535),
        help="Bytes of a payload that plugins are given. Default: 1024.",
    )
    @functools.wraps(command)
    def with_reading(
        *arguments: object,
        reassemble: bool | None,
        order: str | None,
        cache: bool | None,
        truncation: int | None,
        **options: object,
    ) -> int:
        flags = {
            "traffic_reassemble": reassemble,
            "traffic_order": order,
            "traffic_cache": cache,
            "traffic_truncation": truncation,
        }
        return command(*arguments, reading=flags, **options)

    return with_reading
