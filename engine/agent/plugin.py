"""One plugin on the list, and one run of its process."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.agent.metrics import ProcessMeter, RateMeter, Usage, last_line
from engine.agent.process import PluginProcess
from engine.agent.store import Origin
from engine.agent.tasks import TaskQueue
from engine.agent.wire import FrameReader, Frames
from engine.core.errors import UsageError
from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_STATE
from engine.core.records import Record, new_record
from engine.core.sanitise import clean

PluginState = Literal["loading", "running", "exited", "failed"]
AfterExit = Literal["keep", "remove", "restart"]

_COUNTS = ("tx_count", "tx_bytes", "rx_count", "rx_bytes", "dropped")
_NAME = re.compile(r"[A-Za-z0-9_-]+")


def check_name(name: str) -> None:
    """Refuse what the Elkeid agent refuses as a plugin's name.

    Raises:
        UsageError: it is empty or holds something else than ASCII letters, digits, `_`, `-`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"invalid plugin name {clean(name, 80)!r}",
            fix="a name consists of ASCII letters, digits, _ and -",
        )


@dataclass(slots=True, eq=False)
class Run:
    """One life of a plugin's process. Written by the ingest thread, read by anyone."""

    plugin: Plugin
    process: PluginProcess
    tasks: TaskQueue
    origin: Origin
    meter: ProcessMeter
    reader: FrameReader = field(default_factory=FrameReader)
    rates: RateMeter = field(default_factory=RateMeter)
    tx_count: int = 0
    tx_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    rate: tuple[float, float] = (0.0, 0.0)
    """Records and bytes per second."""
    usage: Usage = field(default_factory=Usage)
    stderr_line: str = ""
    kill_at_ns: int = 0
    """When its process group is killed, monotonic; 0 = not asked to stop."""
    killed: bool = False
    """Whether this side killed it, so that what it left unfinished is no loss."""
    lost_sync: int = 0
    """A length it announced that cannot be one."""
    exit_code: int | None = None
    ended: bool = False

    def count(self, frames: Frames) -> None:
        """Add what the plugin sent to its counters."""
        self.tx_count += frames.sent
        self.tx_bytes += frames.sent_bytes
        for reason, number in frames.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + number

    def sample_rate(self, now_ns: int) -> None:
        """Bring the rates up to date; `now_ns` is monotonic."""
        self.rate = self.rates.sample(now_ns, self.tx_count, self.tx_bytes)

    def sample_process(self, now_ns: int) -> None:
        """Bring everything up to date that is read from outside."""
        self.usage = self.meter.sample(now_ns)
        if self.usage.comm is not None:
            self.origin = self.origin._replace(comm=self.usage.comm)
        self.stderr_line = last_line(self.process.stderr_fd)


@dataclass(slots=True, eq=False)
class Plugin:
    """What was asked for under one name, and what became of it."""

    name: str
    executable: Path
    detail: str
    in_place: bool
    directory: Path
    """Working directory."""
    state: PluginState = "loading"
    error: str = ""
    run: Run | None = None
    """The latest run; None before the first."""
    after_exit: AfterExit = "keep"

    def row(self, ts_ns: int) -> Record:
        """The plugin as a record of kind `plugin_state`."""
        values: dict[str, JsonValue] = {
            "plugin": self.name,
            "plugin_kind": "process",
            "state": self.state,
            "error": self.error,
        }
        run = self.run
        if run is None:
            values |= dict.fromkeys(_COUNTS, 0)
            values |= dict.fromkeys(("tx_rate", "tx_speed"), 0.0)
            values |= dict.fromkeys(("last_task", "last_stderr"), "")
            return new_record(PLUGIN_STATE, values, ts_ns=ts_ns)
        return new_record(
            PLUGIN_STATE,
            {
                **values,
                "exit_code": run.exit_code,
                "tx_rate": run.rate[0],
                "tx_speed": run.rate[1],
                "tx_count": run.tx_count,
                "tx_bytes": run.tx_bytes,
                "rx_count": run.tasks.written_count,
                "rx_bytes": run.tasks.written_bytes,
                "dropped": sum(run.dropped.values()),
                "cpu": run.usage.cpu,
                "rss": run.usage.rss,
                "fds": run.usage.fds,
                "last_task": run.tasks.last,
                "last_stderr": run.stderr_line,
            },
            ts_ns=ts_ns,
            pid=run.origin.pid,
            comm=run.origin.comm,
        )


def describe_exit(run: Run) -> str:
    """Why a plugin's process is gone; empty if it was asked to go and went."""
    if run.lost_sync:
        return (
            f"plugin {run.plugin.name} was killed: it announced a record of {run.lost_sync} bytes, "
            "so its record stream cannot be read any further"
        )
    if run.kill_at_ns:
        return f"plugin {run.plugin.name} did not exit in time and was killed" if run.killed else ""
    code = run.exit_code
    if code is None:
        return f"plugin {run.plugin.name} exited unexpectedly, its exit code is unknown"
    if code >= 0:
        return f"plugin {run.plugin.name} exited with code {code} unexpectedly"
    return f"plugin {run.plugin.name} was ended by {_signal_name(-code)} unexpectedly"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
