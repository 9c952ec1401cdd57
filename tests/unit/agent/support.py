"""What the agent's tests share: golden vectors, small plugins, reading a host's answers."""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from engine.agent import messages, sdk, wire
from engine.agent.host import PluginHost
from tests.waiting import wait_until

DEADLINE_S = 20.0

REPOSITORY = Path(__file__).resolve().parents[3]
DEMO_PLUGINS = REPOSITORY / "fixtures" / "plugins"

VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden_vectors.json").read_text(encoding="utf-8")
)
"""Frames checked against the official Go and Rust SDKs and the unmodified Elkeid agent."""

_PLUGIN = """\
#!{python} -IS
import importlib.util, json, os, sys, threading, time
spec = importlib.util.spec_from_file_location("sdk", {sdk!r})
sdk = sys.modules["sdk"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sdk)
"""


def record_frame(fields: dict[str, str], data_type: int = 7000, timestamp: int = 1) -> bytes:
    """A record with its length prefix, as the protobuf library writes it."""
    record: Any = messages.RECORD()
    record.data_type, record.timestamp = data_type, timestamp
    record.data.SetInParent()
    for key, value in fields.items():
        record.data.fields.add(key=key.encode(), value=value.encode())
    return wire.frame(record.SerializeToString())


def write_plugin(directory: Path, name: str, body: str) -> Path:
    """An executable Python plugin that has the SDK as `sdk`; `body` is dedented."""
    path = directory / name
    head = _PLUGIN.format(python=sys.executable, sdk=sdk.__file__)
    path.write_text(head + textwrap.dedent(body), encoding="utf-8")
    path.chmod(0o700)
    return path


def row(host: PluginHost, name: str) -> dict[str, Any]:
    """A plugin's row of the table as a dictionary; empty if it has none."""
    for record in host.tables()["plugin_state"]:
        if record.get("plugin") == name:
            return dict(record.as_json())
    return {}


def wait_for_state(host: PluginHost, name: str, state: str) -> dict[str, Any]:
    """Wait until the plugin is in a state; returns its row."""
    wait_until(lambda: row(host, name).get("state") == state, DEADLINE_S)
    return row(host, name)


def records(host: PluginHost, plugin: str | None = None) -> list[dict[str, Any]]:
    """Every record the host has now, or those of one plugin."""
    store = host.rings["plugin_record"]
    batch = store.since(0, store.last_seq)
    found = [dict(record.as_json()) for record in batch.records]
    return [one for one in found if plugin in (None, one["plugin"])]


def wait_for_records(host: PluginHost, plugin: str, count: int) -> list[dict[str, Any]]:
    """Wait until a plugin has delivered so many records; returns all of its records."""
    wait_until(lambda: row(host, plugin).get("tx_count", 0) >= count, DEADLINE_S)
    return records(host, plugin)


def process_exists(pid: int) -> bool:
    """Whether a process is there and not only waits to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
