"""What plugins make of a message: the agent's log of it, before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.core.fields import JsonValue
from engine.wasm.abi import STATUS_NAMES, Status
from engine.wasm.diff import changes
from engine.wasm.merge import LogEntry, merge_session

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.outcome import Outcome

_ATTRIBUTE_NAMES = {
    "endpoint": "endpoint",
    "domain": "host",
    "version": "version",
    "result": "result",
    "exception": "exception",
    "span_id": "span_id",
    "parent_span_id": "parent_span_id",
    "x_request_id_0": "x_request_id",
    "x_request_id_1": "x_request_id",
    "http_proxy_client": "http_proxy_client",
    "biz_type": "biz_type",
    "biz_code": "biz_code",
    "biz_scenario": "biz_scenario",
    "biz_response_code": "biz_response_code",
    "is_async": "is_async",
    "is_reversed": "is_reversed",
}
"""Fields of the agent's log that are no columns of ours, and what they are called as attributes."""


class Enrichment:
    """The agent's log of one message, with what plugins changed in it.

    A request and its response each have a log, which plugins change; then the two are joined.
    """

    def __init__(self) -> None:
        self.log = LogEntry()
        """What is known of the message; empty where no plugin said anything."""
        self.changes: list[dict[str, JsonValue]] = []
        """What plugins changed: field, before, after, plugin, number of the call."""

    def merge(self, outcome: Outcome, after: LogEntry) -> None:
        """Add what a plugin said about the request or the response.

        Args:
            outcome: What its call came to.
            after: The log it gave; one of the outcome's.
        """
        only = after.differing(outcome.before)
        for change in changes(outcome.before.as_json(only), after.as_json(only)):
            shown = {**change.as_json(), "plugin": outcome.plugin, "call": outcome.seq}
            self.changes.append(shown)
        self.log = after if self.log == LogEntry() else merge_session(self.log, after)

    @property
    def status(self) -> str:
        """The status code, or what the status is called where there is no code."""
        if self.log.code is not None:
            return str(self.log.code)
        return "" if self.log.status is None else STATUS_NAMES[self.log.status]

    def attributes(self) -> Iterator[tuple[str, str]]:
        """What the log holds that has no column, as it was said."""
        log = self.log
        failed = log.status not in (None, Status.OK)
        for name, shown in _ATTRIBUTE_NAMES.items():
            value = getattr(log, name)
            if value not in (None, "", 0) and (failed or name != "exception"):
                yield shown, str(value).lower() if isinstance(value, bool) else str(value)
        if log.trace_ids:
            yield "trace_id", " ".join(dict.fromkeys(each for _, each in sorted(log.trace_ids)))
        yield from log.attributes
