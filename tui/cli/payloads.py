"""The options that give a saved payload, and the payload they give."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from engine.core.errors import UsageError

if TYPE_CHECKING:
    from engine.traffic.inputs import SavedPayload

_SENDERS: dict[str, Literal["client", "server"]] = {"c2s": "client", "s2c": "server"}


def payload_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of a saved payload; the command gets it as `payload`, None without one."""

    @click.option(
        "--payload",
        metavar="FILE",
        help="One payload, as bytes or as hex; - reads it from standard input.",
    )
    @click.option("--hex", "digits", metavar="DIGITS", help="One payload, as hex digits.")
    @click.option(
        "--src", default="127.0.0.1:40000", show_default=True, help="Its sender, IP:PORT."
    )
    @click.option("--dst", default="127.0.0.1:80", show_default=True, help="Its receiver, IP:PORT.")
    @click.option("--l4", type=click.Choice(["tcp", "udp"]), default="tcp", show_default=True)
    @click.option(
        "--direction",
        type=click.Choice(list(_SENDERS)),
        help="From client to server or back. Default: as the payload tells.",
    )
    @functools.wraps(command)
    def with_payload(
        *arguments: object,
        payload: str | None,
        digits: str | None,
        src: str,
        dst: str,
        l4: str,
        direction: str | None,
        **options: object,
    ) -> int:
        saved = None
        if payload is not None or digits is not None:
            content = _content(payload, digits)
            saved = _saved(content, src, dst, l4, direction)
        return command(*arguments, payload=saved, **options)

    return with_payload


def _content(payload: str | None, digits: str | None) -> bytes:
    from engine.traffic.inputs import parse_hex, payload_of, read_payload

    if payload is None:
        return parse_hex(digits or "")
    if digits is not None:
        raise UsageError("two payloads", fix="give --payload or --hex")
    if payload == "-":
        return payload_of(sys.stdin.buffer.read(), "on standard input")
    return read_payload(Path(payload))


def _saved(content: bytes, src: str, dst: str, l4: str, direction: str | None) -> SavedPayload:
    from engine.core.clock import SystemClock
    from engine.traffic.inputs import SavedPayload, parse_endpoint
    from engine.traffic.packets import TCP, UDP

    return SavedPayload(
        SystemClock(),
        content,
        src=parse_endpoint(src),
        dst=parse_endpoint(dst),
        l4=UDP if l4 == "udp" else TCP,
        sender=_SENDERS[direction] if direction else None,
    )
