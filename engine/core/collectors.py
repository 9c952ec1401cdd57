"""How a collector is named: its address, and the headers it wants, which may be secrets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

FROM_ENVIRONMENT = "env"
"""The address that stands for what OTEL_EXPORTER_OTLP_* tell."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[!-~](?:[ -~]*[!-~])?")


def check_endpoint(text: str) -> str:
    """An address of a collector without blanks around it.

    Raises:
        ValueError: it is none, or holds what would be shown wherever the address is.
    """
    address = text.strip()
    if address in ("", FROM_ENVIRONMENT):
        return address
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not address.startswith(("http://", "https://")):
        raise ValueError("begin it with http:// or https:// (also for gRPC)")
    if not host or not address.isprintable() or " " in address:
        raise ValueError("no address of a collector: http://HOST:PORT or https://HOST:PORT")
    if "@" in parts.netloc:
        raise ValueError("no password in the address, please; give a header")
    if parts.query or parts.fragment:
        raise ValueError("no ? or # in the address, please; give a header")
    return address


def read_headers(text: str) -> dict[str, str]:
    """Headers written as NAME=VALUE,NAME=VALUE, names in lower case.

    Raises:
        ValueError: one of them cannot be sent; the message names none of the values.
    """
    headers: dict[str, str] = {}
    for number, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, equals, value = part.partition("=")
        name, value = unquote(name.strip()).lower(), unquote(value.strip())
        if not equals or not _NAME.fullmatch(name):
            raise ValueError(f"header {number} is not NAME=VALUE")
        if not _VALUE.fullmatch(value):
            raise ValueError(f"the value of header {name} cannot be sent")
        headers[name] = value
    return headers


def join_headers(pairs: Iterable[str]) -> str:
    """Headers given one by one as NAME=VALUE, with the value as it is, in one text.

    Raises:
        ValueError: one of them is not NAME=VALUE; the message names no value.
    """
    parts: list[str] = []
    for number, pair in enumerate(pairs, 1):
        name, equals, value = pair.partition("=")
        if not equals or not name.strip():
            raise ValueError(f"header {number} is not NAME=VALUE")
        parts.append(f"{quote(name.strip())}={quote(value.strip())}")
    return ",".join(parts)
