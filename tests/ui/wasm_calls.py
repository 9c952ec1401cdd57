"""Calls of a Wasm plugin as the engine records them, for tests of what shows them."""

from __future__ import annotations

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record
from tests.ui.fake_engine import NOW_NS

PAYLOAD = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
CLIENT, SERVER = "192.0.2.1:40000", "192.0.2.2:80"


def call(**values: JsonValue) -> Record:
    """A call that gave a request another endpoint."""
    context: dict[str, JsonValue] = {
        "direction": "request",
        "src": CLIENT,
        "dst": SERVER,
        "time_us": NOW_NS // 1_000,
        "flow_id": 7,
        "payload_size": len(PAYLOAD),
        "ebpf_type": 255,
    }
    shown: dict[str, JsonValue] = {
        "plugin": "mine",
        "export": "on_http_req",
        "action": "result",
        "elapsed_us": 12.3,
        "returned": 1,
        "infos": [{"dialect": "g5", "request": {"endpoint": "/new"}, "attributes": {"k": "v"}}],
        "dialect": "g5",
        "merged": [{"field": "endpoint", "before": "/a", "after": "/new"}],
        "logs": ["info: hello", "stdout: printed"],
        "host_calls": ["vm_read_payload(0x10, 64) = 28"],
        "payload": PAYLOAD.hex(),
        "result_bytes": b"\x00\x07PB....x".hex(),
        "context": context,
        "memory": 65_536,
        **values,
    }
    return new_record(KINDS["wasm_result"], shown, ts_ns=NOW_NS)


def repetition(of: int, *, after: str = "/newer", **values: JsonValue) -> Record:
    """A call that repeats another and came out differently, unless `after` is empty."""
    change = {"field": "infos[0].request.endpoint", "before": "/new", "after": after}
    return call(rerun_of=of, differs=[change] if after else [], **values)


def message(**values: JsonValue) -> Record:
    """The message that `call` was made for."""
    shown: dict[str, JsonValue] = {
        "protocol": "HTTP",
        "src": CLIENT,
        "dst": SERVER,
        "request": "GET /a",
        "status": "200",
        "latency_ms": 2.5,
        "parsed_by": "built-in+mine",
        "session": "answered",
        "flow": 7,
        "decision": ["28 bytes client → server: http: yes"],
        **values,
    }
    return new_record(KINDS["l7_message"], shown, ts_ns=NOW_NS)


def plugin(**values: JsonValue) -> Record:
    """The row of the plugin."""
    shown: dict[str, JsonValue] = {
        "plugin": "mine",
        "state": "loaded",
        "path": "/opt/mine.wasm",
        "hooks": ["http_request"],
        "calls": 3,
        "p50_us": 12.0,
        "p99_us": 90.0,
        "traps": 0,
        "rejected": 0,
        "memory": 65_536,
        "deadline_ms": 100.0,
        "memory_limit": 1 << 28,
        "exports": [
            {"export": "on_http_req", "calls": 3, "p50_us": 12.0, "p99_us": 90.0, "traps": 0}
        ],
        **values,
    }
    return new_record(KINDS["wasm_plugin"], shown, ts_ns=NOW_NS)
