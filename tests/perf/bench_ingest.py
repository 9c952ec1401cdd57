# ruff: noqa: T201
"""How fast the plugin host takes records in, against readers that do less or more.

    .venv/bin/python -m tests.perf.bench_ingest [--size BYTES] [--seconds S] [--rounds N]

One writer feeds all of them, in turns within one run; only the ratios mean something on
another machine. `host` is the whole path of `engine.agent`: read, walk, keep, count. `each`
reads a length, then a body, and decodes every record. `bytes` reads and does nothing.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from engine.agent.host import PluginHost
from engine.agent.messages import ENCODED_RECORD
from engine.agent.sdk import Client
from engine.agent.wire import PREFIX, READ_BYTES
from engine.core.clock import SystemClock
from engine.core.source import Logbook

PIPE_BYTES = 1024 * 1024
BLOCK_RECORDS = 4_000
KEPT = 50_000
WARM_UP_S = 0.3

# Writes in pieces that do not end where records end, until nobody reads any more.
WRITER = """#!{python} -IS
import os
view = memoryview(open({block!r}, "rb").read() * 16)
try:
    while True:
        position = 0
        while position < len(view):
            position += os.write({descriptor}, view[position : position + 65536])
except BrokenPipeError:
    pass
"""


def write_block(path: Path, size: int) -> float:
    """Write a file of real records whose bodies have about `size` bytes; returns their mean."""
    with path.open("wb") as opened, Client(-1, opened.fileno()) as client:
        for number in range(BLOCK_RECORDS):
            padding = "x" * max(0, size - 46)
            client.send_record(7001, {"number": f"{number:010d}", "padding": padding})
    return path.stat().st_size / BLOCK_RECORDS - PREFIX.size


def write_writer(path: Path, block: Path, descriptor: int) -> Path:
    """The writer as an executable for that descriptor."""
    script = WRITER.format(python=sys.executable, block=str(block), descriptor=descriptor)
    path.write_text(script)
    path.chmod(0o700)
    return path


def run_host(writer: Path, seconds: float) -> float:
    """Records per second that the host keeps."""
    clock = SystemClock()
    host = PluginHost(clock, Logbook(clock), record_capacity=KEPT)
    host.start()
    try:
        host.load(writer)
        time.sleep(WARM_UP_S)
        before, started = host.counters(), time.monotonic()
        time.sleep(seconds)
        after, ended = host.counters(), time.monotonic()
    finally:
        host.stop()
    if after.dropped_total or not after.balanced:
        raise SystemExit(f"the host lost records: {after}")
    return (after.kept - before.kept) / (ended - started)


def run_reader(writer: Path, seconds: float, read: Callable[[int, float], int]) -> float:
    """Records per second that `read` takes from the writer."""
    with subprocess.Popen([writer], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        descriptor = child.stdout.fileno()
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        read(descriptor, WARM_UP_S)
        started = time.monotonic()
        count = read(descriptor, seconds)
        rate = count / (time.monotonic() - started)
        child.kill()
    return rate


class EachReader:
    """Decodes every record as it comes."""

    def __init__(self) -> None:
        self._kept: deque[object] = deque(maxlen=KEPT)

    def __call__(self, descriptor: int, seconds: float) -> int:
        """Read for that long; returns how many records. The stream is left between two."""
        count, deadline = 0, time.monotonic() + seconds
        pending = b""
        while time.monotonic() < deadline or pending:
            pending += os.read(descriptor, READ_BYTES if time.monotonic() < deadline else 1)
            position = 0
            while len(pending) - position >= PREFIX.size:
                end = position + PREFIX.size + PREFIX.unpack_from(pending, position)[0]
                if end > len(pending):
                    break
                body = pending[position + PREFIX.size : end]
                self._kept.append(ENCODED_RECORD.FromString(body))
                position, count = end, count + 1
            pending = pending[position:]
        return count


class BytesReader:
    """Reads and does nothing; knows how long a record is."""

    def __init__(self, record_bytes: float) -> None:
        self._record_bytes = record_bytes

    def __call__(self, descriptor: int, seconds: float) -> int:
        """Read for that long; returns how many records that was."""
        size, deadline = 0, time.monotonic() + seconds
        slab = bytearray(READ_BYTES)
        while time.monotonic() < deadline:
            size += os.readv(descriptor, [slab])
        return int(size / self._record_bytes)


def main() -> None:
    """Measure in turns and print the medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=256, help="bytes of a record's body")
    parser.add_argument("--seconds", type=float, default=1.0, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each reader")
    chosen = parser.parse_args()
    rates: dict[str, list[float]] = {"bytes": [], "host": [], "each": []}
    with tempfile.TemporaryDirectory() as place:
        block = Path(place, "block")
        mean = write_block(block, chosen.size)
        plugin = write_writer(Path(place, "writer"), block, 4)
        program = write_writer(Path(place, "stdout-writer"), block, 1)
        bytes_reader = BytesReader(mean + PREFIX.size)
        for _ in range(chosen.rounds):
            rates["bytes"].append(run_reader(program, chosen.seconds, bytes_reader))
            rates["host"].append(run_host(plugin, chosen.seconds))
            rates["each"].append(run_reader(program, chosen.seconds, EachReader()))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    print(f"bodies of {mean:.0f} bytes, median of {chosen.rounds}")
    for name, rate in medians.items():
        megabytes = rate * (mean + PREFIX.size) / 1e6
        print(f"{name:6} {rate / 1e3:8.0f} krec/s {megabytes:8.0f} MB/s")
    print(f"host / each  {medians['host'] / medians['each']:.2f}")
    print(f"host / bytes {medians['host'] / medians['bytes']:.2f}")


if __name__ == "__main__":
    main()
