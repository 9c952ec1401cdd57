"""What it costs to export kernel events over HTTP and gRPC, and whether all arrive.

    .venv/bin/python -m tests.perf.bench_otlp [EVENTS]

The collector is a process of its own, so that what it costs is not counted. Figures are of one run
on one machine; asserts nothing about time.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from engine.core.clock import SystemClock
from engine.core.fields import JsonValue
from engine.core.source import Logbook
from engine.otlp.export import OtlpExport
from engine.otlp.options import OtlpOptions
from tests.perf.rows import Row
from tests.unit.otlp.receiver import started
from tests.unit.recording.test_recorder import Rings
from tui.collector import rare_collections

EVENTS = 50_000
ATTRIBUTES: JsonValue = {"dirfd": -100, "name": "/etc/hostname", "flags": "O_RDONLY", "mode": 0}


def collect(protocol: str) -> None:
    """Be a collector until standard input ends; print the port first and at last what came."""
    receiver = started(protocol)
    _say(str(receiver.port))
    sys.stdin.read()
    _say(str(len(set(receiver.numbers))))
    receiver.stop()


def measure() -> list[Row]:
    """Both protocols."""
    return [exported(spoken, EVENTS) for spoken in ("http", "grpc")]


def exported(protocol: str, number: int) -> Row:
    """Export so many events and print what it took."""
    rings = Rings(number)
    for _ in range(number):
        rings.add(
            "kernel_event", tid=1, cpu=1, category="file", name="openat", direction="exit",
            event="syscall_exit-openat", result=5, latency_ns=3_000, fd=5, fd_type="file",
            fd_name="/etc/hostname", attributes=ATTRIBUTES, uid=0, gid=0,
        )  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, "--collect", protocol],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    url = f"http://127.0.0.1:{child.stdout.readline().strip()}"
    options = OtlpOptions(url, "grpc" if protocol == "grpc" else "http", flush_s=600)
    export = OtlpExport(rings, options, Logbook(SystemClock()))
    cpu, began = _cpu_s(), time.monotonic()
    with rare_collections():
        export.start()
        export.stop()
    cpu, took = _cpu_s() - cpu, time.monotonic() - began
    arrived, _ = child.communicate()
    counters = export.status().stages["logs"]
    _say(
        f"{protocol:5} {number / took:8,.0f} events/s  {cpu / number * 1e6:6.1f} us of CPU each  "
        f"kept {counters.kept}  dropped {counters.dropped_total}  arrived {arrived.strip()}"
    )
    lost = number - int(arrived) - counters.dropped_total
    return Row(
        f"export of {number:,} kernel events over OTLP, {protocol}",
        "all arrive or are counted",
        f"{lost} lost, {counters.dropped_total} counted; {number / took:,.0f} events/s, "
        f"{cpu / number * 1e6:.0f} us of CPU each",
        holds=lost == 0,
    )


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    if sys.argv[1:2] == ["--collect"]:
        collect(sys.argv[2])
    else:
        for spoken in ("http", "grpc"):
            exported(spoken, int(sys.argv[1]) if sys.argv[1:] else EVENTS)
