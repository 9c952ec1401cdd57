"""Every record kind, declared once."""

from __future__ import annotations

from engine.core.fields import RecordKind
from engine.core.kinds.kernel import (
    KERNEL_EVENT,
    PROBE_STATE,
    SUBSCRIPTION,
)
from engine.core.kinds.own import (
    LOG,
    STATS,
)
from engine.core.kinds.plugins import (
    MODULE_EVENT,
    PLUGIN_FAULT,
    PLUGIN_RECORD,
    PLUGIN_STATE,
)
from engine.core.kinds.processes import (
    CAPTURE_STATE,
    PROCESS,
)
from engine.core.kinds.traffic import (
    L7_MESSAGE,
    TRAFFIC_STATE,
    WASM_PLUGIN,
    WASM_RESULT,
)

__all__ = [
    "CAPTURE_STATE",
    "KERNEL_EVENT",
    "KINDS",
    "L7_MESSAGE",
    "LOG",
    "MODULE_EVENT",
    "PLUGIN_FAULT",
    "PLUGIN_RECORD",
    "PLUGIN_STATE",
    "PROBE_STATE",
    "PROCESS",
    "STATS",
    "SUBSCRIPTION",
    "TABLE_KEYS",
    "TRAFFIC_STATE",
    "WASM_PLUGIN",
    "WASM_RESULT",
]

KINDS: dict[str, RecordKind] = {
    kind.name: kind
    for kind in (
        PLUGIN_RECORD,
        PLUGIN_FAULT,
        PLUGIN_STATE,
        MODULE_EVENT,
        PROCESS,
        CAPTURE_STATE,
        KERNEL_EVENT,
        L7_MESSAGE,
        TRAFFIC_STATE,
        WASM_RESULT,
        WASM_PLUGIN,
        SUBSCRIPTION,
        PROBE_STATE,
        LOG,
        STATS,
    )
}
"""All record kinds by name."""

TABLE_KEYS: dict[str, tuple[str, ...]] = {
    "plugin_state": ("plugin",),
    "process": ("pid", "start", "netns"),
    "capture_state": ("pid", "start"),
    "subscription": ("event", "category"),
    "probe_state": (),
    "traffic_state": (),
    "wasm_plugin": ("plugin",),
}
"""Kinds that describe a state rather than an event, and the fields that identify a row."""
