"""Records whose every text is hostile, made from the declarations of their kinds.

What a terminal would obey, what a markup parser would, what reads as something else, what is as
long as a megabyte: a kind or a field that is declared tomorrow is covered tomorrow.
"""

from __future__ import annotations

from engine.core.fields import Field, JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record

EVIL = (
    "\x1b]0;owned\x07\x1b[31m\x9b32m[/red][bold]\u202egnp.exe\r\n\x08END"
    "\x1b[2J\x1bP1$r\x1b\\\x9d0;x\x9c\x85\x7f\x00\t"  # erase, device control, C1, next line
    "\u2066\u200b\u200d\ufeff\xad"  # direction, zero width
    "\udcff\udc80\ud800"  # bytes that are no UTF-8, half a character
    "e\u0301\u0489\u4f60\U0001f468\u200d\U0001f469\ufe0f"  # combining, wide
    "LAST"
)
"""What a name, an argument or a payload may be; its beginning fits into a column."""
LONG = EVIL + "A" * (1 << 20) + "\x1b[35m"
"""The same with a tail of a mebibyte."""


def hostile_value(field: Field, text: str = EVIL, number: int = 1) -> JsonValue:
    """The most hostile value of the type that a field has."""
    match field.type:
        case "text":
            return text
        case "map":
            return {text: text, "nested": {text: [text]}}
        case "list":
            return [text, {text: text, "field": text, "before": text, "after": text}]
        case "bool":
            return True
    return number


def hostile_record(
    kind: str, *, text: str = EVIL, ts_ns: int, pid: int | None = 1, **values: JsonValue
) -> Record:
    """A record of a kind all text of which is hostile, but for the values given."""
    declared = KINDS[kind]
    made = {field.name: hostile_value(field, text) for field in declared.fields}
    return new_record(declared, {**made, **values}, ts_ns=ts_ns, pid=pid, comm=text)


def long_record(kind: str, ts_ns: int) -> Record:
    """A hostile record one text of which, the first of its own, is as long as a mebibyte."""
    first = next((field.name for field in KINDS[kind].fields if field.type == "text"), "")
    return hostile_record(kind, ts_ns=ts_ns, text=EVIL, pid=1, **({first: LONG} if first else {}))


def hostile_cast(ts_ns: int, text: str = EVIL) -> list[Record]:
    """Two records of every kind: one hostile in everything, one in what nobody checks.

    The console shows some records only if they have a shape: a plugin that runs, a process with a
    port. The second one has it.
    """
    raw = text.encode("utf-8", "surrogatepass")[:4096].hex()
    shapes: dict[str, dict[str, JsonValue]] = {
        "plugin_state": {
            "state": "running",
            "plugin_kind": "process",
            "error": "",
        },
        "plugin_record": {"agent_reading": text, "timestamp": ts_ns // 1_000_000_000},
        "plugin_fault": {"bytes": raw},
        "process": {
            "ports": [{"port": 80, "proto": text, "address": text}],
            "change": "created",
            "start": 1,
        },
        "capture_state": {"state": "attached", "start": 1},
        "subscription": {"event": text, "category": text, "unavailable": ""},
        "kernel_event": {"event": text, "category": text, "latency_ns": 1_234_000_000},
        "l7_message": {
            "latency_ms": 1234.0,
            "flow": 7,
            "client_pid": 1,
            "server_pid": 2,
            "wasm_calls": [1, 2],
        },
        "wasm_result": {
            "payload": raw,
            "result_bytes": raw,
            "messages": [1],
            "rerun_of": 1,
            "logs": [text, f"stdout: {text}", f"frame: {text}", f"fault: {text}"],
            "context": {"src": text, "dst": text, "flow_id": 7, text: text},
        },
        "wasm_plugin": {
            "state": "loaded",
            "error": "",
            "exports": [{"export": text, "calls": 1}],
        },
    }
    others = {kind: {"plugin": f"2{text}"} for kind in ("plugin_state", "wasm_plugin")}
    return [
        hostile_record(kind, text=text, ts_ns=ts_ns + number, **shape)
        for number, kind in enumerate(KINDS)
        for shape in (others.get(kind, {}), shapes.get(kind, {}))
    ]
