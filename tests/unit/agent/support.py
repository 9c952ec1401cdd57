"""What the agent's tests share: golden vectors, small plugins, reading a host's answers."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from engine.agent import messages, sdk, wire
from engine.agent.host import PluginHost
from engine.core.clock import SystemClock
from engine.core.source import Logbook
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

# Reports one record and lives until it is asked to go.
PATIENT = """
with sdk.Client() as client:
    client.send_record(7000, {"pid": str(os.getpid())})
    client.flush()
    while client.receive_task() is not None:
        pass
"""

# Starts a child in its own process group, ignores every request to go, and says so.
STUBBORN = """
import signal, subprocess
child = subprocess.Popen(["/bin/sh", "-c", "while :; do sleep 1000; done"])
client = sdk.Client()
client.send_record(7000, {"child": str(child.pid)})
client.flush()
while client.receive_task() is not None:
    pass
signal.pause()
"""

WAIT_FOR_THE_END = "read -r line <&3; exit 0"


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


def shell_plugin(directory: Path, name: str, *lines: str) -> Path:
    path = directory / name
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o700)
    return path


def raw_plugin(directory: Path, name: str, stream: bytes, then: str = "") -> Path:
    """A plugin that writes exactly these bytes to its record pipe."""
    (directory / f"{name}.bytes").write_bytes(stream)
    return shell_plugin(directory, name, f"cat '{directory}/{name}.bytes' >&4", then)


@contextmanager
def running_host(**options: Any) -> Iterator[PluginHost]:
    """A started host; afterwards it is stopped and must have given every descriptor back."""
    before = open_files()
    clock = SystemClock()
    started = PluginHost(clock, Logbook(clock), **options)
    started.start()
    try:
        yield started
    finally:
        started.stop()
    assert started.counters().balanced
    # Another test's threads may have a file open for a moment, or close one.
    wait_until(lambda: open_files() <= before)


def open_files() -> set[tuple[str, str]]:
    """The descriptors of this process, each with what it stands for."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.add((descriptor, os.readlink(f"/proc/self/fd/{descriptor}")))
    return found


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


def states(host: PluginHost, name: str) -> list[object]:
    batch = host.rings["plugin_state"].since(0)
    return [one.get("state") for one in batch.records if one.get("plugin") == name]


def log_text(host: PluginHost) -> str:
    return "\n".join(str(one.get("text")) for one in host.logbook.ring.since(0).records)


def process_exists(pid: int) -> bool:
    """Whether a process is there and not only waits to be collected."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
