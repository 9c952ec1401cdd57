"""What it costs to record the demo and 20,000 kernel events a second, and whether all is there.

    .venv/bin/python -m tests.perf.bench_recording [SECONDS]

Needs root and BCC. The demo runs for so long without a recording, then as long with one, so that
the two can be compared; figures are of one run on one machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.core.settings import Settings
from engine.core.source import SourceStatus
from engine.demo import DemoEngine
from engine.recording.replay import ReplayEngine
from tests.perf.rows import Row
from tests.waiting import wait_until
from tui.collector import rare_collections

SECONDS = 20.0
RATE = 20_000
EVENT = "syscall_exit-pread"
READY_S = 120.0
STREAMS = ("kernel_event", "plugin_record", "l7_message", "wasm_result", "process", "log")

CALLER = """
import os, sys, time
rate, own = int(sys.argv[1]), os.open(sys.executable, os.O_RDONLY)
began, done = time.monotonic(), 0
while os.getppid() == int(sys.argv[2]):
    due = int((time.monotonic() - began) * rate)
    for done in range(done, due):
        os.pread(own, 64, 64 * (done % 1000))
    done = max(done, due)
    time.sleep(0.005)
"""


class Spent(NamedTuple):
    """What a while has cost, and how many events came in it."""

    seconds: float
    cpu_s: float
    events: int

    def __str__(self) -> str:
        rate, share = self.events / self.seconds, self.cpu_s / self.seconds
        return f"{rate:9,.0f} events/s  {share:6.1%} of a core"


@contextmanager
def load() -> Iterator[None]:
    """A process that makes so many calls a second."""
    child = subprocess.Popen([sys.executable, "-c", CALLER, str(RATE), str(os.getpid())])
    try:
        yield
    finally:
        child.kill()
        child.wait()


def run_for(engine: DemoEngine, seconds: float) -> Spent:
    """Let it run and look what that takes."""
    began, cpu, events = time.monotonic(), _cpu_s(), engine.last_seq("kernel_event")
    time.sleep(seconds)
    now, events_now = time.monotonic(), engine.last_seq("kernel_event")
    return Spent(now - began, _cpu_s() - cpu, events_now - events)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    measure(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS)


def measure(seconds: float = SECONDS) -> list[Row]:
    """Measure and print; returns the rows."""
    with tempfile.TemporaryDirectory() as place, rare_collections():
        path = Path(place) / "bench.db"
        with DemoEngine(Settings()) as engine:
            wait_until(lambda: _state(engine) == "running", READY_S)
            engine.subscribe(EVENT)
            with load():
                wait_until(lambda: engine.last_seq("kernel_event") > RATE, READY_S)
                without = run_for(engine, seconds)
                engine.start_recording(path)
                recording = run_for(engine, seconds)
                facts = engine.stop_recording()
            snapshot = engine.snapshot()
        assert facts is not None
        _tell(without, recording, snapshot.sources["recording"], facts.bytes)
        _tell_kinds(path, snapshot.sources["recording"])
        _compare_replays(path)
    counters = snapshot.sources["recording"].counters
    more = recording.cpu_s / recording.seconds - without.cpu_s / without.seconds
    return [
        Row(
            f"recording the demo and {RATE:,} events/s for {seconds:g} s",
            "rows = kept, equal replays",
            f"{counters.kept:,} rows = kept, {counters.dropped_total} lost, "
            f"{facts.bytes / counters.kept:.0f} B a record, {more:.0%} of a core more; "
            "replays equal",
            holds=counters.dropped_total == 0,
        )
    ]


def _tell(without: Spent, recording: Spent, status: SourceStatus, size: int) -> None:
    counters = status.counters
    more = recording.cpu_s / recording.seconds - without.cpu_s / without.seconds
    _say(f"without a recording   {without}")
    _say(f"with a recording      {recording}")
    _say(f"the recording takes   {more:.1%} of a core; {counters.lag_ms:.0f} ms behind at the end")
    lost = dict(counters.dropped) or 0
    _say(f"records               seen {counters.seen:,}  kept {counters.kept:,}  lost {lost}")
    _say(f"file                  {size / 1e6:.1f} MB, {size / counters.kept:.0f} bytes a record")


def _tell_kinds(path: Path, status: SourceStatus) -> None:
    """How many records of each kind are in the file, which has to be what the counters say."""
    with sqlite3.connect(path) as database:
        for kind, told in status.stages.items():
            ((rows,),) = database.execute(f"SELECT count(*) FROM {kind}")
            assert rows == told.kept, (kind, rows, told)
            _say(f"  {kind:<18}  {rows:>9,} in the file = kept")


def _compare_replays(path: Path) -> None:
    """The stream of the headless replay and what panes are given must be the same records."""
    headless = _digest(_headless(path))
    shown = _digest(_shown(path))
    _say(f"replay                {headless[0]:,} records headless, sha256 {headless[1][:16]}")
    _say(f"                      {shown[0]:,} given to panes, sha256 {shown[1][:16]}")
    assert headless == shown


def _headless(path: Path) -> Iterator[str]:
    """The lines of `boxscope replay --headless --json`, but the header and the counters."""
    command = [sys.executable, "-m", "tui.cli", "replay", str(path), "--headless", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if (told := json.loads(line))["kind"] in STREAMS:
                yield json.dumps(told, sort_keys=True)
    if child.returncode:
        raise SystemExit("the headless replay has failed")


def _shown(path: Path) -> Iterator[str]:
    """What a console is given that plays to the end."""
    engine = ReplayEngine(path, instant=True)
    engine.start()
    try:
        for kind in STREAMS:
            seq = 0
            while records := (batch := engine.since(kind, seq, 1_000)).records:
                seq = batch.last_seq
                yield from (json.dumps(record.as_json(), sort_keys=True) for record in records)
    finally:
        engine.close()


def _digest(lines: Iterator[str]) -> tuple[int, str]:
    """How many records there are, and a hash of them in whatever order."""
    number, total = 0, 0
    for line in lines:
        number += 1
        total = (total + int.from_bytes(hashlib.sha256(line.encode()).digest())) % 2**256
    return number, f"{total:064x}"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _state(engine: DemoEngine) -> str:
    return engine.snapshot().sources["probe"].state


if __name__ == "__main__":
    main()
