"""The options of what is exported to a collector; the command gets them as settings."""

from __future__ import annotations

import functools
from collections.abc import Callable

import click

from engine.core.collectors import join_headers
from engine.core.errors import UsageError

_OPTIONS: tuple[Callable[[Callable[..., int]], Callable[..., int]], ...] = (
    click.option(
        "--otlp",
        "endpoint",
        metavar="URL",
        help="Also send everything to an OpenTelemetry collector, as http://HOST:4318; env: to "
        "the one that OTEL_EXPORTER_OTLP_* name.",
    ),
    click.option(
        "--otlp-protocol",
        "protocol",
        type=click.Choice(["auto", "http", "grpc"]),
        help="Default: auto, which is as OTEL_EXPORTER_OTLP_PROTOCOL tells, or http.",
    ),
    click.option(
        "--otlp-header",
        "headers",
        multiple=True,
        metavar="NAME=VALUE",
        help="Sent with each request. Others on the box can see it here; a setting is private.",
    ),
    click.option(
        "--otlp-redact",
        "redacted",
        multiple=True,
        type=click.Choice(["payloads", "arguments"]),
        help="Leave these out of what is sent.",
    ),
)


def exporting(command: Callable[..., int]) -> Callable[..., int]:
    """Add `--otlp` and what goes with it; the command gets them as `otlp`, by setting."""

    @functools.wraps(command)
    def with_export(
        *arguments: object,
        endpoint: str | None,
        protocol: str | None,
        headers: tuple[str, ...],
        redacted: tuple[str, ...],
        **options: object,
    ) -> int:
        sorts = (*redacted, *_of_file(options)) if redacted or endpoint else ()
        flags: dict[str, object] = {
            "otlp": endpoint,
            "otlp_protocol": protocol,
            "otlp_headers": _joined(headers) if headers else None,
            "otlp_redact": " ".join(dict.fromkeys(sorts)) or None,
            "otlp_filter": options.get("filter_text") or None,
        }
        if endpoint:
            _require(flags)
        return command(*arguments, otlp=flags, **options)

    for option in reversed(_OPTIONS):
        with_export = option(with_export)
    return with_export


def _of_file(options: dict[str, object]) -> tuple[str, ...]:
    """What is left out of a recording is not sent either."""
    sorts = options.get("redact")
    return sorts if isinstance(sorts, tuple) else ()


def _joined(headers: tuple[str, ...]) -> str:
    try:
        return join_headers(headers)
    except ValueError as error:
        raise UsageError(f"--otlp-header: {error}", fix="NAME=VALUE, once for each") from error


def _require(flags: dict[str, object]) -> None:
    """Refuse at once what was asked for and cannot be, rather than run without it.

    Raises:
        RequirementError: the SDK is not installed.
        UsageError: the address, a header or a variable means nothing.
    """
    from engine.core.settings import load_settings
    from engine.otlp.options import read_options, require

    options = read_options(load_settings(flags).values)
    if options is not None:
        require(options)
