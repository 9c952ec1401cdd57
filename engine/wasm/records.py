"""Wasm calls, infos and plugins as records for readers; all text from plugins is sanitised here."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from engine.core.fields import JsonValue
from engine.core.kinds import WASM_PLUGIN, WASM_RESULT
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.wasm.abi import CLIENT_TO_SERVER, NO_FILTER, STATUS_NAMES, TCP, UDP, CustomFilter
from engine.wasm.before import entry_after, entry_before
from engine.wasm.calllog import Entry
from engine.wasm.custom import PROTOCOL_NAMES
from engine.wasm.diff import Change, changes
from engine.wasm.figures import ExportStatistics
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.judge import Judgement
from engine.wasm.plugin import Call, WasmPlugin
from engine.wasm.remarks import remarks
from engine.wasm.runtime import WasmTrap

_TEXT = 256
_MAX_HEX = 4_096
_MAX_INFOS = 16
_MAX_ATTRIBUTES = 64


def result_record(entry: Entry) -> Record:
    """One call as a `wasm_result`."""
    call, judgement = entry.call, entry.judgement
    journal = call.journal
    return new_record(
        WASM_RESULT,
        {
            "plugin": entry.plugin,
            "export": call.export,
            "action": judgement.action,
            "elapsed_us": round(call.elapsed_us, 1),
            "infos": infos_of(call, judgement),
            "logs": [*journal.lines(), *_backtrace(call)],
            "error": clean(judgement.error, 400),
            "returned": call.returned,
            "context": context_as_json(call.context),
            "payload": call.context.payload[:_MAX_HEX].hex(),
            "host_calls": [
                f"{each.name}({each.pointer:#x}, {each.length}) = {each.result}"
                for each in journal.host_calls
            ],
            "result_bytes": journal.result[:_MAX_HEX].hex(),
            "dialect": call.infos[-1].dialect if journal.sent_result and call.infos else "",
            "merged": [change.as_json() for change in merged_changes(call, judgement)],
            "fuel": call.fuel,
            "memory": call.memory,
            "remarks": remarks(call),
            "messages": list(entry.messages),
            "rerun_of": entry.rerun_of,
            "differs": [change.as_json() for change in entry.changes],
        },
        ts_ns=entry.ts_ns,
    )


def infos_of(call: Call, judgement: Judgement) -> list[JsonValue]:
    """What a plugin sent in a call, or claims of a payload."""
    verdict = judgement.verdict
    if verdict is not None and judgement.action == "result":
        return [
            {
                "protocol_number": verdict.number,
                "protocol": clean(call.string, 64),
                "direction": _direction(verdict.direction),
            }
        ]
    return infos_as_json(call.infos) if call.journal.sent_result else []


def merged_changes(call: Call, judgement: Judgement) -> list[Change]:
    """What merging the result changes in the agent's log of the message."""
    if judgement.action != "result" or not call.infos or call.export == "check_payload":
        return []
    before, after = entry_before(call.context), entry_after(call.context, call.infos)
    return changes(before.as_json(), after.as_json())


def outcome_as_json(call: Call, judgement: Judgement) -> dict[str, JsonValue]:
    """What a call came to, without what is never the same twice; for comparing two calls."""
    return {
        "action": judgement.action,
        "returned": call.returned,
        "error": clean(judgement.error, 400),
        "infos": infos_of(call, judgement),
        "logs": list(call.journal.lines()),
    }


def context_as_json(context: CallContext) -> dict[str, JsonValue]:
    """The message a hook was called for, as the plugin could read it."""
    base = context.base
    shown: dict[str, JsonValue] = {
        "direction": _direction(base.direction),
        "src": _address(base.src, base.src_port),
        "dst": _address(base.dst, base.dst_port),
        "l4": {TCP: "tcp", UDP: "udp"}.get(base.l4, str(base.l4)),
        "l7": base.l7,
        "ebpf_type": base.ebpf_type,
        "time_us": base.time_us,
        "process": clean(base.process.rstrip(b"\0"), 255),
        "flow_id": base.flow_id,
        "buffer_size": base.buffer_size,
        "payload_size": len(context.payload),
    }
    if context.request is not None:
        request = context.request
        shown |= {
            "path": clean(request.path, _TEXT),
            "host": clean(request.host, _TEXT),
            "user_agent": clean(request.user_agent, _TEXT),
            "referer": clean(request.referer, _TEXT),
        }
    if context.response is not None:
        shown["code"] = context.response.code
        shown["endpoint"] = clean(context.response.endpoint, _TEXT)
    if context.custom is not None:
        shown["type_code"] = context.custom.type_code
        shown["custom_message"] = context.custom.message[:_TEXT].hex()
    return _telling(shown)


def _direction(direction: int) -> str:
    return "request" if direction == CLIENT_TO_SERVER else "response"


def _address(packed: bytes, port: int) -> str:
    host = ipaddress.ip_address(packed)
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


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
            "p50_us": _rounded(p50),
            "p99_us": _rounded(p99),
            "traps": plugin.traps,
            "memory": plugin.memory_size,
            "error": plugin.error,
            "rejected": plugin.rejected,
            "dialect": plugin.dialect or "",
            "custom_filter": shown_filter(plugin.custom_filter),
            "exports": [
                _export(name, figures) for name, figures in list(plugin.statistics.items())
            ],
            "refusals": [f"{each.refusal} ({each.advice})" for each in plugin.refusals],
            "start_logs": plugin.start_lines,
            "poisoned": plugin.traps_of_instance,
            "traps_left": plugin.traps_left,
            "renewed": plugin.renewed,
            "deadline_ms": plugin.deadline_ms,
            "memory_limit": plugin.memory_limit,
        },
        ts_ns=ts_ns,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _export(name: str, figures: ExportStatistics) -> dict[str, JsonValue]:
    return {
        "export": name,
        "calls": figures.calls,
        "p50_us": _rounded(figures.percentile_us(0.5)),
        "p99_us": _rounded(figures.percentile_us(0.99)),
        "traps": figures.traps,
        "rejected": figures.rejected,
        "fuel": figures.fuel,
    }


def shown_filter(chosen: CustomFilter | None) -> str:
    """A custom message filter for people; empty for none."""
    if chosen is None or chosen == NO_FILTER:
        return ""
    if chosen.everything:
        return "everything"
    name = PROTOCOL_NAMES.get(chosen.type_code, f"type {chosen.type_code:#x}")
    return name if chosen.hook_point == 0 else f"{name} at hook point {chosen.hook_point}"


def infos_as_json(infos: Sequence[Info]) -> list[JsonValue]:
    """Infos as maps without the fields that say nothing; at most 16 of them."""
    return [info_as_json(info) for info in infos[:_MAX_INFOS]]


def info_as_json(info: Info) -> dict[str, JsonValue]:
    """One info as a map without the fields that say nothing."""
    shown: dict[str, JsonValue] = {
        "dialect": info.dialect,
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
        "trailing": info.trailing or None,
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
