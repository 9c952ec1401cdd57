"""What a plugin author should know about a result that an agent accepts all the same."""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.sanitise import clean
from engine.wasm.infos import Info
from engine.wasm.merge import HTTP_METHODS
from engine.wasm.plugin import Call

_SDK_NAME = 16
_SDK_BUFFER = 65_536
_NEARLY = 0.9
_PARENT = "parent_span_id"
_HTTP_HOOKS = ("on_http_req", "on_http_resp")


def remarks(call: Call) -> list[str]:
    """Every remark on one call; empty for a call without a result."""
    found = list(_on_name(call))
    if not call.journal.sent_result:
        return found
    if len(call.journal.result) > _SDK_BUFFER * _NEARLY:
        used = f"{len(call.journal.result)} of {_SDK_BUFFER} bytes"
        found.append(f"the result fills {used} the SDK has; a larger one is silently not sent")
    if len(call.infos) > 1 and call.export != "parse_payload":
        found.append(f"{len(call.infos)} infos were sent; only the last one is merged")
    for info in call.infos:
        found += _on_info(call.export, info)
    return list(dict.fromkeys(found))


def _on_name(call: Call) -> Iterator[str]:
    if call.export == "check_payload" and len(call.string) > _SDK_NAME:
        yield f"the protocol name has {len(call.string)} bytes; the SDK cuts it to {_SDK_NAME}"


def _on_info(export: str, info: Info) -> Iterator[str]:
    if info.dialect not in ("g5", "g4"):
        yield f"the record is of dialect {info.dialect}, which agents no longer read"
    if info.trailing:
        yield f"{info.trailing} bytes after the record are ignored"
    if info.is_end is not None and export == "parse_payload":
        yield (
            "protocol merge (field 21, or bit 7 of the merge byte) makes agents since 2025-08-15 "
            "panic when performance statistics are on"
        )
    if info.trace is not None and info.trace.sent_empty and export in _HTTP_HOOKS:
        names = ", ".join(name for name in info.trace.sent_empty if name != _PARENT)
        if names:
            yield f"the trace sends {names} empty, which wipes what the agent has parsed itself"
    if info.trace is not None and info.trace.parent_span_id and export in _HTTP_HOOKS:
        yield "a parent span id is ignored: an HTTP log has no place for it"
    kind = info.request.type if info.request is not None else ""
    if export == "on_http_req" and kind and kind not in HTTP_METHODS:
        yield f"type {clean(kind, 40)} is no HTTP method and is silently ignored"
    if export == "on_http_resp" and info.response is None and not info.only_adds:
        yield "an info without a response sets the status to unknown"
