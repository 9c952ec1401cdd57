"""Wasm calls, infos and plugins as records for readers; all text from plugins is sanitised here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from engine.core.fields import JsonValue
from engine.core.kinds import WASM_PLUGIN, WASM_RESULT
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.wasm.abi import STATUS_NAMES
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.plugin import Call, WasmPlugin
from engine.wasm.runtime import WasmTrap

Action = Literal["next", "abort", "result", "trap", "error"]

_TEXT = 256
_MAX_INFOS = 16
_MAX_ATTRIBUTES = 64


def result_record(
    plugin: str,
    call: Call,
    action: Action,
    infos: Sequence[JsonValue],
    error: str,
    *,
    ts_ns: int,
) -> Record:
    """One call as a `wasm_result`."""
    return new_record(
        WASM_RESULT,
        {
            "plugin": plugin,
            "export": call.export,
            "action": action,
            "elapsed_us": round(call.elapsed_us, 1),
            "infos": list(infos),
            "logs": [*call.journal.lines(), *_backtrace(call)],
            "error": clean(error, 400),
        },
        ts_ns=ts_ns,
    )


def _backtrace(call: Call) -> list[str]:
    trap = call.failure
    return [f"frame: {frame}" for frame in trap.frames] if isinstance(trap, WasmTrap) else []


def plugin_record(plugin: WasmPlugin, *, ts_ns: int) -> Record:
    """A plugin as it is now, as a `wasm_plugin`."""
    p50, p99 = plugin.percentile_us(0.5), plugin.percentile_us(0.99)
    return new_record(
        WASM_PLUGIN,
        {
            "plugin": plugin.name,
            "path": clean(str(plugin.path), _TEXT),
            "state": plugin.state,
            "hooks": [str(hook) for hook in plugin.hooks],
            "calls": plugin.calls,
            "p50_us": None if p50 is None else round(p50, 1),
            "p99_us": None if p99 is None else round(p99, 1),
            "traps": plugin.traps,
            "memory": plugin.memory_size,
            "error": plugin.error,
        },
        ts_ns=ts_ns,
    )


def infos_as_json(infos: Sequence[Info]) -> list[JsonValue]:
    """Infos as maps without the fields that say nothing; at most 16 of them."""
    return [info_as_json(info) for info in infos[:_MAX_INFOS]]


def info_as_json(info: Info) -> dict[str, JsonValue]:
    """One info as a map without the fields that say nothing."""
    shown: dict[str, JsonValue] = {
        "form": info.form,
        "protocol": info.protocol,
        "request_id": info.request_id,
        "req_len": info.req_len,
        "resp_len": info.resp_len,
        "request": _request(info.request),
        "response": _response(info.response),
        "trace": _trace(info.trace),
        "attributes": {
            clean(key, _TEXT): clean(value, _TEXT)
            for key, value in info.attributes[:_MAX_ATTRIBUTES]
        },
        "is_end": info.is_end,
        "is_async": info.is_async,
        "is_reversed": info.is_reversed,
        "biz_type": info.biz_type or None,
        "biz_code": info.biz_code,
        "biz_scenario": info.biz_scenario,
        "biz_response_code": info.biz_response_code,
    }
    return _telling(shown)


def _request(request: RequestInfo | None) -> JsonValue:
    if request is None:
        return None
    return _telling(
        {
            "version": request.version,
            "type": request.type,
            "domain": request.domain,
            "resource": request.resource,
            "endpoint": request.endpoint,
        }
    )


def _response(response: ResponseInfo | None) -> JsonValue:
    if response is None:
        return None
    return _telling(
        {
            "status": STATUS_NAMES[response.status],
            "code": response.code,
            "result": response.result,
            "exception": response.exception,
            "type": response.type,
            "endpoint": response.endpoint,
        }
    )


def _trace(trace: TraceInfo | None) -> JsonValue:
    if trace is None:
        return None
    return _telling(
        {
            "trace_ids": [clean(trace_id, _TEXT) for trace_id in trace.trace_ids[:_MAX_INFOS]],
            "span_id": trace.span_id,
            "parent_span_id": trace.parent_span_id,
            "x_request_id": trace.x_request_id,
            "http_proxy_client": trace.http_proxy_client,
        }
    )


def _telling(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """The values that say something: neither None nor empty; text sanitised."""
    return {
        name: clean(value, _TEXT) if isinstance(value, str) else value
        for name, value in values.items()
        if value is not None and value != "" and value != {} and value != []
    }
