# ruff: noqa: T201
"""What a scan for listening processes costs, beside other ways to the same rows.

    .venv/bin/python -m tests.perf.bench_discovery [--processes N ...] [--connections N]
                                                   [--rounds N] [--trials N]

Crowds of idle processes, each with a TCP listener of its own. Milliseconds of CPU per refresh, user
and kernel time together, the median of several rounds:

    cold        a first scan, with the facts of every process
    steady      a later one, after 1 % of the processes have been replaced by new ones
    unchanged   a later one, after nothing happened
    psutil      psutil.net_connections: one table, one walk over all descriptors, no facts
    per process psutil.Process.net_connections for each pid, which is how Beyla scans
    ss          ss -tulnp, the command, if it is installed

The rounds of `steady` come 60 ms after the processes were replaced: a process that is younger than
30 ms and has not exec'ed is looked at a second time. Then the same beside many established
connections, and how long after listen() the row is there. Only the ratios mean something on
another machine, and only if `others` is small: the cores that other processes used meanwhile.
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self

import psutil

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.watcher import PortWatcher
from engine.probe.probe import KernelProbe
from tests.perf.rows import Row, ratio

SOURCE = Path(__file__).parent / "c" / "listeners.c"
CROWDS = (100, 1_000, 3_000)
CONNECTIONS = 9_000
SETTLED_S = 0.06
POLL_S = 1.0
PROBED_POLL_S = 600.0
"""With the probe no row may be due to a poll."""
CLOCK = SystemClock()


class Crowd:
    """Many idle processes that listen."""

    def __init__(self, program: Path, processes: int) -> None:
        self.processes = processes
        self._process = subprocess.Popen(
            [program, str(processes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._await()

    def churn(self) -> None:
        """Replace 1 % of them."""
        self._tell(f"churn {max(self.processes // 100, 1)}")

    def connect(self, count: int) -> None:
        """Have two of them keep that many connections."""
        self._tell(f"connect {count}")

    def end(self) -> None:
        """End them all."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self._await()

    def _await(self) -> None:
        assert self._process.stdout is not None
        if self._process.stdout.readline() != "done\n":
            raise SystemExit("the crowd has failed; are there enough pids and descriptors?")


def build(directory: Path) -> Path:
    """Compile the crowd."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("the benchmark needs a C compiler: apt-get install gcc")
    program = directory / "listeners"
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(program), str(SOURCE)]
    subprocess.run(command, check=True)
    return program


@contextmanager
def crowd_of(program: Path, processes: int) -> Iterator[Crowd]:
    """A crowd, for a while."""
    crowd = Crowd(program, processes)
    try:
        yield crowd
    finally:
        crowd.end()


def make_watcher(interval_s: float = POLL_S) -> PortWatcher:
    return PortWatcher(CLOCK, Logbook(CLOCK), interval_s=interval_s)


def cpu_ms(work: Callable[[], object], rounds: int, before: Callable[[], object]) -> float:
    """Median CPU time of some rounds of work, each after something that is not measured."""
    taken = []
    for _ in range(rounds):
        before()
        started = time.process_time_ns()
        work()
        taken.append((time.process_time_ns() - started) / 1e6)
    return statistics.median(taken)


def per_process_scan() -> int:
    """The ports of each process by itself; returns how many."""
    found = 0
    for pid in psutil.pids():
        with suppress(psutil.Error):
            found += len(psutil.Process(pid).net_connections("inet"))
    return found


def command_ms(*command: str) -> float:
    """CPU milliseconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def figures_of(crowd: Crowd, rounds: int) -> dict[str, float]:
    """CPU milliseconds per refresh, by way."""

    def churned() -> None:
        crowd.churn()
        time.sleep(SETTLED_S)

    def nothing() -> None:
        time.sleep(SETTLED_S)

    time.sleep(SETTLED_S)
    watchers = [make_watcher() for _ in range(3)]
    fresh = iter(watchers)
    figures = {"cold": cpu_ms(lambda: next(fresh).scan_once(), len(watchers), nothing)}
    watcher = watchers[0]
    for _ in range(3):
        rows = watcher.scan_once()
    if sum(row.pid is not None for row in rows) < crowd.processes:
        raise SystemExit("the scan has not found every process")
    gc.collect()
    gc.freeze()  # as a process that runs for long: its old objects are not looked at each time
    figures["steady"] = cpu_ms(watcher.scan_once, rounds, churned)
    figures["unchanged"] = cpu_ms(watcher.scan_once, rounds, nothing)
    figures["psutil"] = cpu_ms(lambda: psutil.net_connections("inet"), 5, nothing)
    slow = 3 if crowd.processes < 1_000 else 1
    figures["per process"] = cpu_ms(per_process_scan, slow, nothing)
    watcher.stop()
    if (listing := shutil.which("ss")) is not None:
        figures["ss"] = statistics.median(command_ms(listing, "-tulnp") for _ in range(5))
    return figures


def show(title: str, figures: dict[str, float], others: float) -> None:
    """One line of milliseconds, one of ratios to steady."""
    print(f"\n{title} (others used {others:.1f} cores)")
    for name, value in figures.items():
        ratio = value / figures["steady"]
        print(f"  {name:12} {value:10.2f} ms {ratio:10.1f} x steady")


@contextmanager
def others_watched(into: list[float]) -> Iterator[None]:
    """How many cores all but this process used."""
    own, box = time.process_time(), psutil.cpu_times()
    started = time.monotonic()
    yield
    now = psutil.cpu_times()
    busy = sum(now[:8]) - sum(box[:8]) - (now.idle - box.idle) - (now.iowait - box.iowait)
    elapsed = time.monotonic() - started
    into.append(max(busy - (time.process_time() - own), 0.0) / elapsed)


class Server:
    """Another process, which listens when it is told to."""

    def __init__(self) -> None:
        script = (
            "import socket, time\n"
            "kept = []\n"
            "while input():\n"
            "    each = socket.socket()\n"
            "    each.bind(('127.0.0.1', 0))\n"
            "    each.listen()\n"
            "    stamp = time.time_ns()\n"
            "    kept.append(each)\n"
            "    print(each.getsockname()[1], stamp, flush=True)\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def listen(self) -> tuple[int, int]:
        """Listen once more; returns the port and when listen() returned."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("listen\n")
        self._process.stdin.flush()
        port, stamp = self._process.stdout.readline().split()
        return int(port), int(stamp)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate("\n")


@contextmanager
def probe_of(watcher: PortWatcher) -> Iterator[None]:
    """The probe wakes the watcher."""
    probe = KernelProbe(CLOCK, Logbook(CLOCK))
    probe.watch_processes(watcher.poke)
    probe.start()
    try:
        if not probe.wait_ready(60.0):
            raise SystemExit(f"no figure with the probe: {probe.status().reason}")
        yield
    finally:
        probe.stop()


def latency_ms(trials: int, *, probe: bool) -> list[float]:
    """From the return of listen() to the stamp of the row, in trials at random moments."""
    watcher = make_watcher(PROBED_POLL_S if probe else POLL_S)
    chance = random.Random(trials)
    listened: dict[int, int] = {}
    shown: dict[int, int] = {}
    ring = watcher.rings["process"]
    seq = 0
    watcher.start()
    try:
        with ExitStack() as running:
            server = running.enter_context(Server())
            if probe:
                running.enter_context(probe_of(watcher))
            deadline = time.monotonic() + trials * 0.2 + 30
            while len(shown) < trials and time.monotonic() < deadline:
                if len(listened) < trials:
                    port, stamp = server.listen()
                    listened[port] = stamp
                time.sleep(chance.uniform(0.02, 0.1))
                batch = ring.since(seq)
                seq = batch.last_seq
                for record in batch.records:
                    for port in _ports(record.as_json()["ports"]):
                        if port in listened:
                            shown.setdefault(port, record.ts_ns)
    finally:
        watcher.stop()
    if len(shown) < trials:
        raise SystemExit(f"only {len(shown)} of {trials} listeners became rows")
    return [(shown[port] - stamp) / 1e6 for port, stamp in listened.items()]


def _ports(ports: object) -> list[int]:
    assert isinstance(ports, Sequence)
    return [each["port"] for each in ports]


def show_latency(name: str, trials: list[float]) -> float:
    """Print the percentiles; returns the 95th."""
    ordered = sorted(trials)
    p50, p95 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    print(f"  {name:28} p50 {p50:7.1f} ms   p95 {p95:7.1f} ms   ({len(ordered)} trials)")
    return p95


def measure() -> list[Row]:
    """The budgets of discovery."""
    processes, trials, others = 1_000, 60, list[float]()
    with tempfile.TemporaryDirectory() as directory:
        program = build(Path(directory))
        with crowd_of(program, processes) as crowd, others_watched(others):
            figures = figures_of(crowd, 15)
    show(f"{processes} listening processes", figures, others[-1])
    print("\nlisten() to row")
    polled = show_latency(f"polling each {POLL_S:g} s", latency_ms(trials, probe=False))
    probed = show_latency("with the probe", latency_ms(trials, probe=True))
    steady = figures["steady"]
    peers = ", ".join(
        f"{name} {figures[name]:.0f} ms ({ratio(figures[name], steady)} x)"
        for name in ("psutil", "ss", "per process")
        if name in figures
    )
    return [
        Row(
            f"discovery scan, {processes:,} listening processes, 1 % of them new",
            "< 5 ms CPU",
            f"{steady:.2f} ms, {figures['unchanged']:.2f} ms if nothing has changed",
            peers if "ss" in figures else f"{peers}, ss is not installed",
            steady < 5,
        ),
        Row(
            "listen() to row, with the probe",
            "< 100 ms",
            f"p95 {probed:.0f} ms",
            holds=probed < 100,
        ),
        Row("listen() to row, without", "< 1 s", f"p95 {polled:.0f} ms", holds=polled < 1_000),
    ]


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--processes", type=int, nargs="*", default=CROWDS)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        program = build(Path(directory))
        others: list[float] = []
        for processes in options.processes:
            with crowd_of(program, processes) as crowd, others_watched(others):
                figures = figures_of(crowd, options.rounds)
            show(f"{processes} listening processes", figures, others[-1])
        if options.connections:
            with crowd_of(program, CROWDS[0]) as crowd, others_watched(others):
                crowd.connect(options.connections)
                figures = figures_of(crowd, options.rounds)
            title = f"{CROWDS[0]} listening processes, {options.connections} connections"
            show(title, figures, others[-1])
    if options.trials:
        print("\nlisten() to row")
        show_latency(f"polling each {POLL_S:g} s", latency_ms(options.trials, probe=False))
        show_latency("with the probe", latency_ms(options.trials, probe=True))


if __name__ == "__main__":
    main()
