"""Kernel events from the ring into the store: how many, at what price, and whether all add up.

    .venv/bin/python -m tests.perf.bench_probe [RING_MIB]

Needs root, BCC, a C compiler and two processors: one runs the calls, the other the engine. Cases
that are compared take turns in short bursts, and the fastest burst of each counts: whatever else
the box does only ever makes a burst slower. All figures are of one run on one machine; compare
them with each other, not with another machine's.
"""

from __future__ import annotations

import os
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
from engine.probe.probe import RING_BYTES, KernelProbe
from tests.perf.rows import Row
from tests.perf.trace_peers import Price, prices
from tui.collector import rare_collections

KEPT = 100_000
BURST = 25_000
ROUNDS = 40
FLOOD_CALLS = 4_500_000
PACES = (500_000, 1_000_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000)
TINY_RING = 256 << 10
PACED_S = 3
PACE = 100_000
PAGE = 1_000
MESSAGES = 500_000
TOGGLES, TOGGLE_CALLS = 40, 10_000
ENGINE_CPU, CALLER_CPU = 0, 1

ENTER, EXIT, OTHER = "syscall_enter-close", "syscall_exit-close", "syscall_enter-connect"

CALLER = r"""
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/*
 * Each line "CALLS PACE BYTES" on stdin: that many close(-1), PACE a second (0: no pause); or, with
 * BYTES, as many messages of that size sent to the other end of a socket pair and received there.
 */
int main(int argc, char **argv)
{
	static char message[65536];
	cpu_set_t cpus;
	long calls, pace, bytes;
	int ends[2];

	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	while (scanf("%ld %ld %ld", &calls, &pace, &bytes) == 3) {
		long long began = now();

		for (long done = 0; done < calls; done++) {
			if (bytes) {
				write(ends[0], message, bytes);
				read(ends[1], message, bytes);
			} else {
				syscall(SYS_close, -1);
			}
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

    def call(self, calls: int, pace: int = 0, message: int = 0) -> float:
        """Make calls, or send messages of a size; returns the seconds they took."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{calls} {pace} {message}\n")
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
    measure(int(sys.argv[1]) << 20 if len(sys.argv) > 1 else RING_BYTES)


def measure(ring_bytes: int = RING_BYTES) -> list[Row]:
    """Print every figure; returns the rows."""
    os.sched_setaffinity(0, {ENGINE_CPU})
    with tempfile.TemporaryDirectory() as folder, rare_collections():
        caller = Caller(_compiled(Path(folder)))
        bare = min(caller.call(BURST) for _ in range(ROUNDS)) / BURST * 1e9
        _say(f"{'no probe loaded':32} {bare:6.0f} ns a call")
        with _running(caller, ring_bytes) as probe:
            _say(f"ring {ring_bytes >> 20} MiB, {KEPT:,} events kept")
            costs = _overhead(probe, caller)
            exact = _flood(probe, caller, "flood, 2 events a call", ENTER, EXIT)
            _flood(probe, caller, "flood, 1 event a call", ENTER)
            with _pulling(probe):
                _flood(probe, caller, "the same, somebody pulling", ENTER)
            sustained = _sustained(probe, caller)
            toggles = _toggles(probe, caller)
            _paced(probe, caller)
            _decoding(probe)
            _payloads(probe, caller)
        with _running(caller, TINY_RING) as probe:
            _say(f"ring {TINY_RING >> 10} KiB")
            exact &= _flood(probe, caller, "flood, 1 event a call", ENTER)
        peers = prices(caller.pid, caller.call)
        caller.close()
    return _rows(bare, costs, exact, sustained, toggles, peers)


def _rows(
    bare: float,
    costs: dict[str, float],
    exact: bool,
    sustained: float,
    toggles: list[float],
    peers: dict[str, Price | str],
) -> list[Row]:
    plain = costs["nothing subscribed"]
    again = costs["nothing subscribed, again"]
    delivered = costs["enter delivered"] - plain
    told = []
    for name, price in peers.items():
        if isinstance(price, Price):
            lost = f", {price.lost:,} lost" if price.lost else ""
            told.append(f"{name} {price.ns - plain:+,.0f} ns{lost}")
        else:
            told.append(f"{name}: {price}")
        _say(f"{'peer':32} {told[-1]}")
    late = toggles[int(0.95 * len(toggles))]
    return [
        Row(
            "kernel events into the store, sustained without a loss",
            "> 2 M/s",
            f"{sustained:.2f} M/s, of one processor that makes the calls",
            "the figure is what was offered at most",
            sustained > 2,
        ),
        Row(
            "floods of kernel events: produced = read + dropped",
            "exactly",
            "exactly" if exact else "not",
            holds=exact,
        ),
        Row(
            "a call with nothing subscribed",
            "0 ns added",
            f"{plain:.0f} ns, {again:.0f} ns a second time; {bare:.0f} ns before the probe",
            holds=plain - bare <= max(5.0, 0.05 * bare),
        ),
        Row(
            "a call whose enter is delivered",
            "",
            f"{delivered:+.0f} ns",
            ", ".join(told),
        ),
        Row(
            "subscribing to the first event in the store",
            "< 100 ms",
            f"p95 {late * 1e3:.0f} ms",
            holds=late < 0.1,
        ),
    ]


def _toggles(probe: KernelProbe, caller: Caller) -> list[float]:
    """Seconds from subscribing to the first event, in ascending order."""
    ring = probe.rings["kernel_event"]
    taken: list[float] = []
    thread = threading.Thread(target=caller.call, args=(TOGGLES * TOGGLE_CALLS, PACE))
    thread.start()
    while len(taken) < TOGGLES and thread.is_alive():
        before, began = ring.last_seq, time.monotonic()
        with _subscribed(probe, ENTER):
            while ring.last_seq == before and thread.is_alive():
                time.sleep(0.001)
        taken.append(time.monotonic() - began)
        probe.drain()
    thread.join()
    taken.sort()
    _say(
        f"{'subscribe to first event':32} p50 {taken[len(taken) // 2] * 1e3:.1f} ms, "
        f"p95 {taken[int(0.95 * len(taken))] * 1e3:.1f} ms, {len(taken)} times"
    )
    return taken


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


def _overhead(probe: KernelProbe, caller: Caller) -> dict[str, float]:
    """Nanoseconds a call takes, by what is subscribed."""
    cases: dict[str, tuple[str, ...]] = {
        "nothing subscribed": (),
        "nothing subscribed, again": (),
        "another event subscribed": (OTHER,),
        "enter delivered": (ENTER,),
        "exit delivered, with latency": (EXIT,),
        "enter and exit delivered": (ENTER, EXIT),
    }
    taken: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(ROUNDS):
        for name, events in cases.items():
            with _subscribed(probe, *events):
                caller.call(BURST)  # what was just attached is cold
                taken[name].append(caller.call(BURST) / BURST * 1e9)
    plain = min(taken["nothing subscribed"])
    for name, each in taken.items():
        cost = min(each)
        _say(f"{name:32} {cost:6.0f} ns a call, {cost - plain:+6.0f} ns, x {cost / plain:.2f}")
    with _subscribed(probe, ENTER, EXIT):
        probe.time_programs(True)
        for _ in range(ROUNDS):
            caller.call(BURST)
        costs = probe.program_costs()
        probe.time_programs(False)
    for program in ("on_sys_enter", "on_sys_exit"):
        runs, run_ns = costs[program]
        _say(f"{program:32} {run_ns / runs:6.0f} ns a run, as the kernel times it, on average")
    return {name: min(each) for name, each in taken.items()}


def _flood(probe: KernelProbe, caller: Caller, title: str, *events: str) -> bool:
    """As many calls as can be made; returns whether the counters add up exactly."""
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
    return exact == "exactly"


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


def _sustained(probe: KernelProbe, caller: Caller) -> float:
    """The most events a second without a loss, of those tried; returns it in millions.

    Two events a call, as one processor has to make them all.
    """
    most = 0.0
    for pace in PACES:
        flow = _flow(probe, caller, pace // 4, pace // 2, (ENTER, EXIT))
        offered = flow.produced / flow.seconds / 1e6
        _say(
            f"{f'{pace / 1e6:.1f} M/s asked for':32} offered {offered:.2f} M/s, "
            f"dropped {flow.dropped}, ring at most {probe.health().ring_peak:.0%} full"
        )
        most = max(most, offered) if not flow.dropped else most
    return most


def _paced(probe: KernelProbe, caller: Caller) -> None:
    began = time.process_time()
    flow = _flow(probe, caller, PACED_S * PACE, PACE, (ENTER,))
    whole = (time.process_time() - began) / flow.seconds
    _say(
        f"{f'{PACE:,} events/s':32} reader {flow.cpu_s / flow.seconds:.1%} of a core, "
        f"whole engine {whole:.1%}, dropped {flow.dropped}, lag {probe.counters().lag_ms:.1f} ms"
    )


def _payloads(probe: KernelProbe, caller: Caller) -> None:
    """What listening to a socket costs its process, and how many messages come through."""
    for size in (64, 1024):
        cases = {"nobody chosen": frozenset[int](), "another chosen": frozenset({os.getpid()})}
        cases["chosen"] = frozenset({caller.pid})
        taken: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(ROUNDS):
            for name, chosen in cases.items():
                probe.payloads.choose(chosen)
                taken[name].append(caller.call(BURST // 10, 0, size) / (BURST // 10) * 1e9)
                while probe.payloads.drain():
                    pass
        plain = min(taken["nobody chosen"])
        for name, each in taken.items():
            title = f"payload of {size} B, {name}"
            _say(f"{title:32} {min(each):6.0f} ns a message, {min(each) - plain:+6.0f} ns")
    with _draining(probe) as drained:
        probe.payloads.choose(frozenset({caller.pid}))
        before = probe.payloads.counters()
        seconds = caller.call(MESSAGES, 0, 1024)
        probe.payloads.choose(frozenset())
    after = probe.payloads.counters()
    seen, kept = after.seen - before.seen, after.kept - before.kept
    assert after.balanced
    assert kept == len(drained)
    _say(
        f"{'payload flood of 1,024 B':32} offered {seen / seconds / 1e3:.0f} k/s, "
        f"read {kept / seconds / 1e3:.0f} k/s, dropped {1 - kept / seen:.1%}"
    )


@contextmanager
def _draining(probe: KernelProbe) -> Iterator[list[int]]:
    """Somebody who takes every payload and notes its length."""
    drained: list[int] = []
    stopping = threading.Event()

    def drain() -> None:
        while not stopping.wait(0.005):
            while batch := probe.payloads.drain():
                drained.extend(item.length for item in batch)

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        yield drained
    finally:
        stopping.set()
        thread.join()
        while batch := probe.payloads.drain():
            drained.extend(item.length for item in batch)


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
