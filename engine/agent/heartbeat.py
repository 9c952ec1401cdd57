"""Heartbeat records as the Elkeid agent sends them each minute: 1000 about itself, 1001 about
each running plugin.

Every value is text, floats have eight decimals. Left out is what only an agent with a server
has: idc, region, net_mode, the traffic to the server (rx_speed, tx_speed, rx_tps, tx_tps of
1000), ngr (its goroutines) and du (its directory).
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from typing import NamedTuple

from engine.agent.box import CpuUsage, box_facts, box_state
from engine.agent.metrics import ProcessMeter, Reading, speeds_between
from engine.agent.plugin import Run

AGENT_HEARTBEAT = 1000
PLUGIN_HEARTBEAT = 1001
INTERVAL_S = 60.0
KEPT_DETAILS = 100
"""Of what went wrong; older ones are forgotten."""


class AgentState:
    """What went wrong since the last push of a plugin list; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._details: deque[str] = deque(maxlen=KEPT_DETAILS)

    def abnormal(self, detail: str) -> None:
        """A plugin could not be loaded, or has exited unexpectedly."""
        with self._lock:
            self._details.append(detail)

    def reset(self) -> None:
        """A new list was pushed."""
        with self._lock:
            self._details.clear()

    def fields(self) -> dict[str, str]:
        """`state` and `state_detail` of the agent's heartbeat."""
        with self._lock:
            details = list(self._details)
        state = "abnormal" if details else "running"
        return {"state": state, "state_detail": json.dumps(details, ensure_ascii=False)}


class _Beat(NamedTuple):
    """What the rates of the next heartbeat of a plugin are measured from."""

    at_ns: int
    rx_count: int = 0
    rx_bytes: int = 0
    tx_count: int = 0
    tx_bytes: int = 0
    reading: Reading | None = None


class Heartbeat:
    """Makes the content of heartbeats; rates are over the time since the one before."""

    def __init__(self, state: AgentState) -> None:
        self._state = state
        self._meter = ProcessMeter(os.getpid())
        self._facts = box_facts()
        self._cpu = CpuUsage()
        self._own: Reading | None = None
        self._beats: dict[Run, _Beat] = {}

    def agent_fields(self, now_ns: int, wall_s: int) -> dict[str, str]:
        """The content of record 1000; `now_ns` is monotonic, `wall_s` Unix seconds."""
        fields = {**self._facts, **self._state.fields(), **box_state()}
        reading = self._meter.read(now_ns)
        if reading is not None:
            fields |= _resources(os.getpid(), self._own, reading, wall_s)
            self._own = reading
        if usage := self._cpu.sample():
            fields["cpu_usage"] = usage
        return fields

    def plugin_fields(self, run: Run, now_ns: int, wall_s: int) -> dict[str, str]:
        """The content of record 1001 about a running plugin."""
        before = self._beats.get(run) or _Beat(run.started_ns)
        reading, tasks = run.usage.reading, run.tasks
        beat = self._beats[run] = _Beat(
            now_ns,
            tasks.written_count,
            tasks.written_bytes,
            run.tx_count,
            run.tx_bytes,
            reading or before.reading,
        )
        fields = {"name": run.plugin.name, "pversion": run.plugin.version}
        if reading is not None:
            fields |= _resources(run.process.pid, before.reading, reading, wall_s)
        if run.plugin.disk is not None:
            fields["du"] = str(run.plugin.disk)
        return fields | _rates(before, beat)

    def forget_ended(self) -> None:
        """Drop what is remembered of runs that are over."""
        self._beats = {run: beat for run, beat in self._beats.items() if not run.ended}

    def close(self) -> None:
        """Close what it reads itself from."""
        self._meter.close()


def _rates(before: _Beat, now: _Beat) -> dict[str, str]:
    elapsed_s = (now.at_ns - before.at_ns) / 1e9
    differences = {
        "rx_tps": now.rx_count - before.rx_count,
        "tx_tps": now.tx_count - before.tx_count,
        "rx_speed": now.rx_bytes - before.rx_bytes,
        "tx_speed": now.tx_bytes - before.tx_bytes,
    }
    return {
        name: _decimal(difference / elapsed_s if elapsed_s > 0 else 0.0)
        for name, difference in differences.items()
    }


def _resources(pid: int, before: Reading | None, now: Reading, wall_s: int) -> dict[str, str]:
    """cpu ... start_time; all of them are missing if the io counters cannot be read."""
    if now.read_bytes is None or now.write_bytes is None:
        return {}
    if before is None:
        # The agent's first sample: no cpu yet, storage as an average since the start.
        age_s = max(1, wall_s - now.started)
        cpu, read_speed, write_speed = 0.0, now.read_bytes / age_s, now.write_bytes / age_s
    else:
        speeds = speeds_between(before, now)
        cpu = speeds.cpu or 0.0
        read_speed, write_speed = speeds.read_speed or 0.0, speeds.write_speed or 0.0
    return {
        "pid": str(pid),
        "cpu": _decimal(cpu),
        "rss": str(now.rss),
        "read_speed": _decimal(read_speed),
        "write_speed": _decimal(write_speed),
        "nfd": str(now.fds or 0),
        "start_time": str(now.started),
    }


def _decimal(number: float) -> str:
    return f"{number:.8f}"
