"""Records that the filter tests choose from."""

from __future__ import annotations

from engine.core.kinds import KINDS
from engine.core.records import Record, new_record

REFUSED = new_record(
    KINDS["kernel_event"],
    {
        "name": "connect",
        "direction": "exit",
        "category": "net",
        "result": -111,
        "errno": "ECONNREFUSED",
        "latency_ns": 6_000_000,
        "attributes": {"dip": "10.0.0.1", "dport": "8080", "a.b": "dotted", "a": {"c": "deep"}},
    },
    ts_ns=1_700_000_000_000_000_000,
    pid=5,
    comm="curl",
)

LISTENER = new_record(
    KINDS["process"],
    {
        "ports": [
            {"port": 80, "proto": "tcp", "address": "0.0.0.0"},
            {"port": 443, "proto": "tcp", "address": "::"},
        ],
        "exe": "/usr/sbin/nginx",
        "argv": ["nginx", "-g", "daemon off;"],
        "attached": False,
    },
    ts_ns=1_700_000_000_000_000_000,
    pid=80,
    comm="nginx",
)

PLUGIN = new_record(
    KINDS["plugin_state"],
    {"plugin": "doctor", "state": "running", "rss": 3_000_000, "tx_speed": 2_500_000.0, "cpu": 0.5},
    ts_ns=1_700_000_000_000_000_000,
)

ANSWER = new_record(
    KINDS["l7_message"],
    {"protocol": "HTTP", "status": "503", "latency_ms": 5.5, "request": "GET /users?id=7"},
    ts_ns=1_700_000_000_000_000_000,
    pid=80,
    comm="nginx",
)

EVERY: tuple[Record, ...] = (REFUSED, LISTENER, PLUGIN, ANSWER)
