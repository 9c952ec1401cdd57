"""Events, records and what is said, as log records."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.util.types import AnyValue

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.otlp.attributes import PREFIX, attributes_of, plain
from engine.otlp.origin import SCOPE, Origin

_INFO = (SeverityNumber.INFO, "INFO")
_WARN = (SeverityNumber.WARN, "WARN")
_ERROR = (SeverityNumber.ERROR, "ERROR")
Severity = tuple[SeverityNumber, str]

_LEVELS: Mapping[JsonValue, Severity] = {"info": _INFO, "warning": _WARN, "error": _ERROR}
_BAD_STEPS = frozenset({"refused", "panicked", "killed", "garbage", "symbol_missing"})
"""Steps in a module's life that it should not have taken."""


class LogMaker:
    """Makes log records.

    Args:
        origin: Who tells.
    """

    def __init__(self, origin: Origin) -> None:
        self._resource = origin.own

    def __call__(self, record: Record) -> ReadableLogRecord:
        """The log record that a record is; its name is the record's kind."""
        number, text = _severity(record)
        attributes = attributes_of(record)
        body, told_by = _BODIES[record.kind](record)
        if told_by:
            attributes = {key: each for key, each in attributes.items() if not _under(told_by, key)}
        return ReadableLogRecord(
            log_record=LogRecord(
                timestamp=record.ts_ns,
                observed_timestamp=time.time_ns(),
                severity_number=number,
                severity_text=text,
                body=body,
                attributes=attributes,
                event_name=PREFIX + record.kind,
            ),
            resource=self._resource,
            instrumentation_scope=SCOPE,
        )


def _severity(record: Record) -> Severity:
    match record.kind:
        case "log":
            return _LEVELS.get(record.get("level"), _INFO)
        case "wasm_result":
            return _ERROR if record.get("error") else _INFO
        case "plugin_fault":
            return _WARN
        case "module_event":
            return _WARN if record.get("event") in _BAD_STEPS else _INFO
    return _INFO


def _under(name: str, key: str) -> bool:
    """Whether an attribute tells what the body tells."""
    return key.startswith(name) and key[len(name) : len(name) + 1] in ("", ".")


Body = tuple[AnyValue, str]
"""The body, and the attribute that would repeat it."""


def _event(record: Record) -> Body:
    name, outcome = record.get("name"), record.get("errno") or record.get("result")
    return (str(name) if outcome is None else f"{name} = {outcome}"), ""


def _plugin_record(record: Record) -> Body:
    return plain(record.get("fields")), PREFIX + "fields"


def _process(record: Record) -> Body:
    return f"{record.comm or 'process'} {record.get('change')}", ""


def _text_of(*names: str) -> Callable[[Record], Body]:
    """A body out of the fields of these names that say something."""

    def body(record: Record) -> Body:
        return " ".join(str(value) for name in names if (value := record.get(name))), ""

    return body


_BODIES: Mapping[str, Callable[[Record], Body]] = {
    "kernel_event": _event,
    "plugin_record": _plugin_record,
    "plugin_fault": _text_of("plugin", "reason"),
    "module_event": _text_of("plugin", "event", "symbol", "text"),
    "process": _process,
    "wasm_result": _text_of("plugin", "export", "action", "error"),
    "log": lambda record: (plain(record.get("text")), PREFIX + "text"),
}
