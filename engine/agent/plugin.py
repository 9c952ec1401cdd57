"""One plugin on the list, and one run of its process."""

from __future__ import annotations

import os
import re
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from engine.agent.faults import FaultLimit
from engine.agent.metrics import ProcessMeter, RateMeter, Usage
from engine.agent.process import PluginProcess
from engine.agent.restart import Backoff, ExecutableWatch
from engine.agent.stderr import SHOWN_LINES, StderrHistory, tail_lines
from engine.agent.store import Origin
from engine.agent.tasks import TaskQueue
from engine.agent.wire import FrameReader, Frames
from engine.core.errors import UsageError
from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_STATE
from engine.core.records import Record, new_record
from engine.core.sanitise import clean

PluginState = Literal["loading", "running", "stopping", "exited", "failed"]
AfterExit = Literal["keep", "remove", "restart"]

_COUNTS = (
    "tx_count",
    "tx_bytes",
    "rx_count",
    "rx_bytes",
    "dropped",
    "agent_dropped",
    "tasks_waiting",
)
_RATES = ("tx_rate", "tx_speed", "rx_rate", "rx_speed")
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


class RunObserver(Protocol):
    """Whom the host tells what a module's keeper does; every call is from the ingest thread."""

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """It has sent something, which the host has kept and counted."""

    def ended(self, run: Run) -> None:
        """Its process is gone."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """What makes a plugin a module: its process is a keeper, which has the module's in its care."""

    arguments: tuple[str, ...]
    """What follows the executable in the keeper's argument list."""
    observer: RunObserver


@dataclass(slots=True, eq=False)
class Run:
    """One life of a plugin's process. Written by the ingest thread, read by anyone."""

    plugin: Plugin
    process: PluginProcess
    tasks: TaskQueue
    origin: Origin
    meter: ProcessMeter
    started_ns: int
    """Monotonic."""
    started_s: int
    """Unix seconds."""
    reader: FrameReader = field(default_factory=FrameReader)
    rates: RateMeter = field(default_factory=RateMeter)
    task_rates: RateMeter = field(default_factory=RateMeter)
    tx_count: int = 0
    tx_bytes: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    agent_dropped: int = 0
    """Records that a real agent's buffer would have dropped."""
    fault_limit: FaultLimit = field(default_factory=FaultLimit)
    rate: tuple[float, float] = (0.0, 0.0)
    """Records and bytes per second."""
    task_rate: tuple[float, float] = (0.0, 0.0)
    """Tasks and their bytes per second."""
    usage: Usage = field(default_factory=Usage)
    stderr_lines: list[str] = field(default_factory=list)
    """The last ones; replaced, never changed."""
    stderr_seen: tuple[int, int] = (0, 0)
    """Size and time of the stderr file when they were read."""
    kill_at_ns: int = 0
    """When its process group is killed, monotonic; 0 = not asked to stop."""
    faithful_stop: bool = False
    """Whether its record pipe is closed at once when it is to exit, as the agent does it."""
    killed: bool = False
    """Whether this side killed it, so that what it left unfinished is no loss."""
    lost_sync: int = 0
    """A length it announced that cannot be one."""
    last_words: str = ""
    """Why it ends, if that was told before it did."""
    exit_code: int | None = None
    ended: bool = False
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when everything that follows from its end has been done."""

    def count(self, frames: Frames) -> None:
        """Add what the plugin sent to its counters."""
        self.tx_count += frames.sent
        self.tx_bytes += frames.sent_bytes
        for reason, number in frames.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + number

    def sample_rate(self, now_ns: int) -> None:
        """Bring the rates up to date; `now_ns` is monotonic."""
        self.rate = self.rates.sample(now_ns, self.tx_count, self.tx_bytes)
        written, size = self.tasks.written_count, self.tasks.written_bytes
        self.task_rate = self.task_rates.sample(now_ns, written, size)

    def sample_process(self, now_ns: int) -> None:
        """Bring everything up to date that is read from outside."""
        self.usage = self.meter.sample(now_ns)
        if self.usage.reading is not None:
            self.origin = self.origin._replace(comm=self.usage.reading.comm)
        self.sample_stderr()

    def sample_stderr(self) -> None:
        """Read the last lines of the stderr file, if it has changed."""
        status = os.fstat(self.process.stderr_fd)
        seen = status.st_size, status.st_mtime_ns
        if seen != self.stderr_seen:
            self.stderr_lines = tail_lines(self.process.stderr_fd, SHOWN_LINES)
            self.stderr_seen = seen

    def measure(self, pid: int, comm: str) -> None:
        """From now on, what this process uses is what the plugin uses; on the ingest thread."""
        self.meter.close()
        self.meter = ProcessMeter(pid)
        self.origin = self.origin._replace(pid=pid, comm=comm)

    def end_rates(self) -> None:
        """It is gone: it sends nothing and uses nothing any more."""
        self.rate = self.task_rate = (0.0, 0.0)
        self.usage = Usage()


@dataclass(slots=True, eq=False)
class Plugin:
    """What was asked for under one name, and what became of it."""

    name: str
    executable: Path
    detail: str
    in_place: bool
    directory: Path
    """Working directory."""
    version: str = ""
    inherit_env: bool = False
    """Whether a detail is added to our environment instead of being the whole of its own."""
    state: PluginState = "loading"
    error: str = ""
    run: Run | None = None
    """The latest run; None before the first."""
    after_exit: AfterExit = "keep"
    restarts: int = 0
    stderr: StderrHistory = field(default_factory=StderrHistory)
    disk: int | None = None
    """Bytes of the files in its working directory, as of the last look."""
    backoff: Backoff | None = None
    """If set it is started again when it has exited."""
    restart_at_ns: int = 0
    """When that is, monotonic; 0 = it is not to be started again."""
    watch: ExecutableWatch | None = None
    """If set it is started again when its executable has changed."""
    keeping: Keeping | None = None
    """If set it is a module."""

    @property
    def alive(self) -> bool:
        """Whether it runs or is about to, so that its name is taken."""
        return self.state in ("loading", "running", "stopping")

    def forget_restart(self) -> None:
        """Leave it alone when it has exited or its executable changes."""
        self.restart_at_ns = 0
        self.backoff = self.watch = None

    def row(self, ts_ns: int, now_ns: int) -> Record:
        """The plugin as a record of kind `plugin_state`; wall and monotonic time."""
        run = self.run
        values: dict[str, JsonValue] = {
            "plugin": self.name,
            "plugin_kind": "process" if self.keeping is None else "module",
            "state": self.state,
            "error": self.error,
            "version": clean(self.version, 80),
            "restarts": self.restarts,
            "disk": self.disk,
            "stderr": tuple(self.stderr.tail(run.stderr_lines if run and not run.ended else [])),
        }
        if run is None:
            values |= dict.fromkeys(_COUNTS, 0)
            values |= dict.fromkeys(_RATES, 0.0)
            values |= dict.fromkeys(("last_task", "last_stderr"), "")
            return new_record(PLUGIN_STATE, values, ts_ns=ts_ns)
        if self.state == "stopping" and run.kill_at_ns:
            values["kill_in_s"] = round(max(0, run.kill_at_ns - now_ns) / 1e9, 1)
        return new_record(
            PLUGIN_STATE,
            values | _counted(run) | _used(run.usage),
            ts_ns=ts_ns,
            pid=run.origin.pid,
            comm=run.origin.comm,
        )


def _counted(run: Run) -> dict[str, JsonValue]:
    return {
        "started": run.started_s,
        "exit_code": run.exit_code,
        "tx_rate": run.rate[0],
        "tx_speed": run.rate[1],
        "tx_count": run.tx_count,
        "tx_bytes": run.tx_bytes,
        "rx_rate": run.task_rate[0],
        "rx_speed": run.task_rate[1],
        "rx_count": run.tasks.written_count,
        "rx_bytes": run.tasks.written_bytes,
        "dropped": sum(run.dropped.values()),
        "agent_dropped": run.agent_dropped,
        "last_task": run.tasks.last,
        "tasks_waiting": run.tasks.waiting,
        "last_stderr": run.stderr_lines[-1] if run.stderr_lines else "",
    }


def _used(usage: Usage) -> dict[str, JsonValue]:
    reading, speeds = usage
    if reading is None:
        return {}
    return {
        "cpu": speeds.cpu,
        "rss": reading.rss,
        "fds": reading.fds,
        "pgid": reading.pgid,
        "read_speed": speeds.read_speed,
        "write_speed": speeds.write_speed,
    }


def describe_exit(run: Run) -> str:
    """Why a plugin's process is gone; empty if it was asked to go and went."""
    name = run.plugin.name
    if run.last_words:
        return f"module {name}: {run.last_words}"
    if run.lost_sync:
        return (
            f"plugin {name} was killed: it announced a record of {run.lost_sync} bytes, "
            "so its record stream cannot be read any further"
        )
    if run.kill_at_ns:
        return f"plugin {name} did not exit in time and was killed" if run.killed else ""
    how = how_it_ended(run.exit_code)
    if run.exit_code is None:
        return f"plugin {name} exited unexpectedly, its exit code is unknown"
    return f"plugin {name} {how} unexpectedly"


def how_it_ended(exit_code: int | None) -> str:
    """`exited with code 3` or `was ended by SIGSEGV`."""
    if exit_code is None:
        return "exited with an unknown code"
    if exit_code >= 0:
        return f"exited with code {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"
