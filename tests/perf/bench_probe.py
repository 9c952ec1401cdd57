"""Kernel events from the ring into the store: how many, at what price, and whether all add up.

    .venv/bin/python -m tests.perf.bench_probe [RING_MIB]

Needs root, BCC, a C compiler and two processors: one runs the calls, the other the engine. All
figures are of one run on one machine; compare them with each other, not with another machine's.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.probe.probe import KernelProbe
from tui.collector import rare_collections

KEPT = 100_000
CALLS = 250_000
FLOOD_CALLS = 4_500_000
PACED_S = 3
PACE = 100_000
PAGE = 1_000
ROUNDS = 5
ENGINE_CPU, CALLER_CPU = 0, 1

ENTER, EXIT, OTHER = "syscall_enter-close", "syscall_exit-close", "syscall_enter-connect"

CALLER = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Each line "CALLS PACE" on stdin: that many close(-1), PACE a second (0: no pause). */
int main(int argc, char **argv)
{
	cpu_set_t cpus;
	long calls, pace;

	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	while (scanf("%ld %ld", &calls, &pace) == 2) {
		long long began = now();

		for (long done = 0; done < calls; done++) {
			syscall(SYS_close, -1);
			while (pace && !(done % 64) && now() < began + done * 1000000000LL / pace)
				;
		}
		printf("%lld\n", now() - began);
		fflush(stdout);
	}
	return 0;
}
"""


class Caller:
    """A process on its own processor that makes system calls when told."""

    def __init__(self, program: Path) -> None:
        self._child = subprocess.Popen(
            [program, str(CALLER_CPU)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._child.pid

    def call(self, calls: int, pace: int = 0) -> float:
        """Make calls; returns the seconds they took."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{calls} {pace}\n")
        self._child.stdin.flush()
        return int(self._child.stdout.readline()) / 1e9

    def close(self) -> None:
        """End it."""
        self._child.communicate()


class Flow(NamedTuple):
    """What one run did."""

    seconds: float
    produced: int
    read: int
    dropped: int
    cpu_s: float


def main() -> None:
    """Print every figure."""
    mebibytes = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    os.sched_setaffinity(0, {ENGINE_CPU})
    with tempfile.TemporaryDirectory() as folder, rare_collections():
        caller = Caller(_compiled(Path(folder)))
        with _running(caller, mebibytes << 20) as probe:
            _say(f"ring {mebibytes} MiB, {KEPT:,} events kept")
            _overhead(probe, caller)
            _flood(probe, caller, "flood, 2 events a call", ENTER, EXIT)
            _flood(probe, caller, "flood, 1 event a call", ENTER)
            with _pulling(probe):
                _flood(probe, caller, "the same, somebody pulling", ENTER)
            _paced(probe, caller)
            _decoding(probe)
        caller.close()


@contextmanager
def _running(caller: Caller, ring_bytes: int) -> Iterator[KernelProbe]:
    clock = SystemClock()
    probe = KernelProbe(clock, Logbook(clock), capacity=KEPT, ring_bytes=ring_bytes)
    probe.set_pids(frozenset({caller.pid}))
    probe.start()
    try:
        if not probe.wait_ready(60.0):
            raise SystemExit(probe.status().reason)
        yield probe
    finally:
        probe.stop()


def _overhead(probe: KernelProbe, caller: Caller) -> None:
    """Nanoseconds a call takes longer, by what is subscribed; the cases take turns."""
    cases: dict[str, tuple[str, ...]] = {
        "nothing subscribed": (),
        "another event subscribed": (OTHER,),
        "enter delivered": (ENTER,),
        "exit delivered, with latency": (EXIT,),
        "enter and exit delivered": (ENTER, EXIT),
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, events in cases.items():
            with _subscribed(probe, *events):
                taken[name].append(caller.call(CALLS) / CALLS * 1e9)
    plain = statistics.median(taken["nothing subscribed"])
    for name, each in taken.items():
        cost = statistics.median(each)
        _say(f"{name:32} {cost:6.0f} ns a call, {cost - plain:+6.0f} ns")


def _flood(probe: KernelProbe, caller: Caller, title: str, *events: str) -> None:
    flow = _flow(probe, caller, FLOOD_CALLS, 0, events)
    _say(
        f"{title:32} offered {flow.produced / flow.seconds / 1e6:.2f} M/s, "
        f"read {flow.read / flow.seconds / 1e6:.2f} M/s, "
        f"dropped {flow.dropped / max(flow.produced, 1):.1%}, "
        f"reader {flow.cpu_s / max(flow.read, 1) * 1e6:.3f} us an event, "
        f"{flow.cpu_s / flow.seconds:.0%} of a core"
    )
    exact = "exactly" if flow.produced == flow.read + flow.dropped else "NOT"
    _say(
        f"{'':32} {flow.produced:,} produced = {flow.read:,} read + {flow.dropped:,} dropped: "
        f"{exact}; {FLOOD_CALLS:,} calls made"
    )


@contextmanager
def _pulling(probe: KernelProbe) -> Iterator[None]:
    """Somebody who decodes page after page of the newest events, as fast as it goes."""
    ring, stopping = probe.rings["kernel_event"], threading.Event()
    pulled = missed = 0

    def pull() -> None:
        nonlocal pulled, missed
        seq = ring.last_seq
        while not stopping.wait(0.001):
            batch = ring.since(seq, 10 * PAGE)
            seq, pulled, missed = (
                batch.last_seq,
                pulled + len(batch.records),
                missed + batch.missed,
            )

    thread = threading.Thread(target=pull)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
        _say(f"{'':32} {pulled:,} pulled, {missed:,} had left the store before")


def _paced(probe: KernelProbe, caller: Caller) -> None:
    flow = _flow(probe, caller, PACED_S * PACE, PACE, (ENTER,))
    _say(
        f"{f'{PACE:,} events/s':32} {flow.cpu_s / flow.seconds:.1%} of a core, "
        f"dropped {flow.dropped}, lag {probe.counters().lag_ms:.1f} ms"
    )


def _flow(
    probe: KernelProbe, caller: Caller, calls: int, pace: int, events: tuple[str, ...]
) -> Flow:
    """Let the calls be made and follow what becomes of them."""
    (thread,) = (one for one in threading.enumerate() if one.name == "probe")
    assert thread.ident is not None
    cpu = time.pthread_getcpuclockid(thread.ident)
    probe.drain()
    before, began, cpu_began = probe.counters(), probe.kernel_counters(), time.clock_gettime(cpu)
    with _subscribed(probe, *events):
        seconds = caller.call(calls, pace)
    probe.drain()
    after, ended = probe.counters(), probe.kernel_counters()
    assert after.balanced
    return Flow(
        seconds,
        ended.produced - began.produced,
        after.kept - before.kept,
        ended.dropped - began.dropped,
        time.clock_gettime(cpu) - cpu_began,
    )


def _decoding(probe: KernelProbe) -> None:
    """Pages of the newest events, and the memory of the process with all of them kept."""
    resident = _resident()
    ring = probe.rings["kernel_event"]
    begin = ring.last_seq - KEPT
    began = time.process_time()
    seen = 0
    for seq in range(begin, ring.last_seq, PAGE):
        batch = ring.since(seq, PAGE)
        assert batch.missed == 0
        seen += len(batch.records)
    spent = time.process_time() - began
    _say(f"{'since(), pages of 1,000':32} {spent / seen * 1e6:.2f} us an event, {seen:,} events")
    _say(f"{'resident memory':32} {resident / 1e6:.0f} MB with {seen:,} events kept")


@contextmanager
def _subscribed(probe: KernelProbe, *events: str) -> Iterator[None]:
    for event in events:
        probe.subscribe(event)
    try:
        yield
    finally:
        for event in events:
            probe.unsubscribe(event)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _compiled(folder: Path) -> Path:
    source, program = folder / "caller.c", folder / "caller"
    source.write_text(CALLER)
    subprocess.run(["cc", "-O2", "-o", program, source], check=True)
    return program


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    main()
