"""What a collector said to a request, over HTTP or gRPC, by the rules of the OTLP specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.core.sanitise import clean

Verdict = Literal["taken", "refused", "too_large", "busy"]
"""taken: but for what was rejected of it; refused: never again; busy: the same again, later."""

_TEXT = 200
_BUSY_CODES = frozenset({429, 502, 503, 504})
_TOO_LARGE = 413
_BUSY_NAMES = frozenset(
    {
        *("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE"),
        "DATA_LOSS",
    }
)
_SIZE_WORDS = ("larger than max", "exceeds maximum size")
"""What gRPC's own servers say of a message that is too large, in C, Python and Go, and in Java."""

Rejected = tuple[int, str]
"""How many of a request's items were rejected, and why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a request."""

    verdict: Verdict
    reason: str = ""
    """Why it was not taken, or not all of it; sanitised."""
    rejected: int = 0
    """Of what was taken, how many items were not."""
    pause_s: float | None = None
    """How long the collector wants to be left alone."""


def taken(rejected: Rejected, size: int) -> Answer:
    """The answer that it was taken, with what of it was not; a collector may claim anything."""
    number, reason = rejected
    return Answer("taken", clean(reason, _TEXT), min(max(number, 0), size))


def of_http(
    status: int, reason: str, pause_s: float | None, read_body: Callable[[], Rejected], size: int
) -> Answer:
    """The answer that an HTTP response is.

    Args:
        status: Its status code.
        reason: The words beside it.
        pause_s: Its `Retry-After`, if it has one.
        read_body: Reads what was rejected; asked only where it was taken.
        size: Items in the request.
    """
    if 200 <= status < 300:
        return taken(read_body(), size)
    told = clean(f"HTTP {status} {reason or ''}".strip(), _TEXT)
    if status in _BUSY_CODES:
        return Answer("busy", told, pause_s=pause_s)
    return Answer("too_large" if status == _TOO_LARGE else "refused", told)


def of_grpc(name: str, details: str, pause_s: float | None) -> Answer:
    """The answer that the status of a call is, when it is not OK.

    "Resource exhausted" may be about the size of the request, which only the words tell; with a
    word on when to come again it is about the collector.
    """
    told = clean(f"{name}: {details}" if details else name, _TEXT)
    if name in _BUSY_NAMES or (name == "RESOURCE_EXHAUSTED" and pause_s is not None):
        return Answer("busy", told, pause_s=pause_s)
    about_size = name == "RESOURCE_EXHAUSTED" and any(each in details for each in _SIZE_WORDS)
    return Answer("too_large" if about_size else "refused", told)


def no_connection(error: BaseException) -> Answer:
    """The answer where there was none: refused, reset, timed out.

    Texts of such errors hold addresses and headers, so only the system's own word is taken.
    """
    return Answer("busy", clean(_cause(error), _TEXT))


def _cause(error: BaseException) -> str:
    """What the system said at the bottom of an error, or what the error is called."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop()
        if not isinstance(each, BaseException) or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, OSError) and each.errno is not None and each.strerror:
            return each.strerror
        waiting += [*each.args, each.__cause__, each.__context__, getattr(each, "reason", None)]
    return _WORDS.get(type(error).__name__, type(error).__name__)


_WORDS = {
    "ReadTimeout": "no answer in time",
    "ConnectTimeout": "no connection in time",
    "ConnectionError": "no connection",
    "SSLError": "TLS failed",
    "ProxyError": "the proxy refuses",
}
