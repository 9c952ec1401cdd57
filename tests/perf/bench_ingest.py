# ruff: noqa: T201
"""How fast the plugin host takes records in, beside readers in C that do less, as much, or more.

    .venv/bin/python -m tests.perf.bench_ingest [--sizes B ...] [--seconds S] [--rounds N]

One writer in C feeds all of them, in turns within one run; only the ratios mean something on
another machine, and only if `others` is small: the cores that other processes used meanwhile.

    C read      reads and does nothing
    C parse     follows the frames and reads the protobuf fields of each record
    C keep      the same, and copies the payloads into a ring
    Go          one in Go, which does what an Elkeid agent does with each record
    host        the whole path of engine.agent: read, follow the frames, keep, count
    host plain  the same without the compiled loop, as before the first flood
    parsed      host, and protobuf parses every record, a slab at a time
    decoded     host, and every record is made into what a reader of the engine gets

Then 100 plugins at 1,000 records/s each: the host's share of a core; and 100 plugins flat out:
how evenly they are read.
"""

from __future__ import annotations

import argparse
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from engine.agent import ingest
from engine.agent.host import PluginHost
from engine.agent.messages import ENCODED_RECORD
from engine.agent.plugin import Run
from engine.agent.wire import PREFIX, Frames, find_offsets
from engine.core.clock import SystemClock
from engine.core.counters import Counters
from engine.core.source import Logbook
from tests.perf.ingest_peers import (
    Block,
    Programs,
    Rate,
    build,
    run_go_reader,
    run_reader,
    write_block,
)
from tests.perf.rows import Row, ratio

SIZES = (64, 256, 1_024, 16_384)
KEPT = 50_000
WARM_UP_S = 0.5
PLUGINS = 100
PLUGIN_RATE = 1_000
FLOOD_READS = ingest.FLOOD_READS


class DecodingHost(PluginHost):
    """Makes every record into what a reader gets, as it comes."""

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """Keep, count and decode."""
        before = self.rings["plugin_record"].last_seq
        super().received(run, frames, lag_ms)
        batch = self.rings["plugin_record"].since(before, frames.kept)
        if len(batch.records) != frames.kept:
            raise SystemExit("records were lost between the store and its reader")


class ParsingHost(PluginHost):
    """Has protobuf parse every record as it comes, all of a read in one call."""

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """Keep, count and parse."""
        super().received(run, frames, lag_ms)
        if parse_all(frames) != frames.kept:
            raise SystemExit("protobuf has not found every record")


def _batch_class() -> type[Any]:
    """message Batch { repeated EncodedRecord records = 1; }"""
    pool = descriptor_pool.DescriptorPool()
    encoded = descriptor_pb2.DescriptorProto()
    ENCODED_RECORD.DESCRIPTOR.CopyToProto(encoded)  # type: ignore[attr-defined]
    batch = descriptor_pb2.DescriptorProto(name="Batch")
    batch.field.add(name="records", number=1, type=11, label=3, type_name=".bench.EncodedRecord")
    pool.AddSerializedFile(
        descriptor_pb2.FileDescriptorProto(
            name="bench.proto", package="bench", syntax="proto2", message_type=[encoded, batch]
        ).SerializeToString()
    )
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Batch"))


BATCH = _batch_class()
HEAD = struct.Struct("<I")


def parse_all(frames: Frames) -> int:
    """Parse all records in one call; returns how many there are.

    The four bytes of a length prefix have room for a protobuf tag and a length of up to 2 MiB, so
    that the frames as they lie become one message with a repeated field.
    """
    data = bytearray(frames.data)
    for begin, end in pairwise(find_offsets(frames.data, frames.kept)):
        length = end - begin - PREFIX.size
        head = 0x80800A | (length & 0x7F) << 8 | (length & 0x3F80) << 9 | (length & 0x1FC000) << 10
        HEAD.pack_into(data, begin, head)
    return len(BATCH.FromString(bytes(data)).records)


@contextmanager
def running(kind: type[PluginHost]) -> Iterator[PluginHost]:
    """A host of that kind; it must not have lost anything."""
    clock = SystemClock()
    host = kind(clock, Logbook(clock), record_capacity=KEPT, heartbeat_s=0)
    host.start()
    try:
        yield host
        counters = host.counters()
        if counters.dropped_total or not counters.balanced:
            raise SystemExit(f"the host lost records: {counters}")
    finally:
        host.stop()


def run_host(
    kind: type[PluginHost], programs: Programs, block: Block, seconds: float, flood_reads: int
) -> Rate:
    """What a host reaches with one plugin that writes flat out."""
    ingest.FLOOD_READS = flood_reads
    with running(kind) as host:
        host.load(programs.writer, detail=f"0 {block.path}")
        time.sleep(WARM_UP_S)
        return rate_of(host, seconds)


def rate_of(host: PluginHost, seconds: float) -> Rate:
    """Records per second that the host keeps, and the cores it uses for them."""
    before, started, busy = host.counters(), time.monotonic(), time.process_time()
    time.sleep(seconds)
    after, ended, used = host.counters(), time.monotonic(), time.process_time()
    elapsed = ended - started
    return Rate((after.kept - before.kept) / elapsed, (used - busy) / elapsed)


def run_many(
    programs: Programs, block: Block, seconds: float, rate: float
) -> tuple[Rate, float, float, Counters]:
    """What a host reaches with many plugins at a rate each, 0 = flat out.

    Returns:
        That; the fewest and the most records of a plugin; the counters at the end.
    """
    ingest.FLOOD_READS = FLOOD_READS
    with running(PluginHost) as host:
        for number in range(PLUGINS):
            detail = f"{rate:g} {block.path}"
            host.load(programs.writer, name=f"writer-{number}", detail=detail)
        time.sleep(2 * WARM_UP_S)
        before = sent_by_plugin(host)
        reached = rate_of(host, seconds)
        after = sent_by_plugin(host)
        sent = [after[name] - before[name] for name in before]
        return reached, min(sent), max(sent), host.counters()


def sent_by_plugin(host: PluginHost) -> dict[str, int]:
    """Records each plugin has sent so far."""
    rows = host.tables()["plugin_state"]
    return {str(row.get("plugin")): int(str(row.get("tx_count"))) for row in rows}


class Others:
    """Cores that processes other than this one and its children use."""

    def __init__(self) -> None:
        self._then = self._read()

    @staticmethod
    def _read() -> tuple[float, float]:
        times, own = psutil.cpu_times(), psutil.Process().cpu_times()
        busy = sum(times) - times.idle - times.iowait - times.guest - times.guest_nice
        return time.monotonic(), busy - sum(own[:4])

    def cores(self) -> float:
        """Since this was made; children that were collected are not others."""
        now, then = self._read(), self._then
        return max(0.0, (now[1] - then[1]) / (now[0] - then[0]))


def compare_readers(
    programs: Programs, block: Block, seconds: float, rounds: int
) -> dict[str, float]:
    """Measure every reader in turns and print the medians; returns these, in records a second."""
    readers: dict[str, Callable[[], Rate]] = {
        "C read": partial(run_reader, programs, "read", block, seconds),
        "C parse": partial(run_reader, programs, "parse", block, seconds),
        "C keep": partial(run_reader, programs, "keep", block, seconds),
        "host": partial(run_host, PluginHost, programs, block, seconds, FLOOD_READS),
        "host plain": partial(run_host, PluginHost, programs, block, seconds, 0),
        "parsed": partial(run_host, ParsingHost, programs, block, seconds, FLOOD_READS),
        "decoded": partial(run_host, DecodingHost, programs, block, seconds, FLOOD_READS),
    }
    if programs.go_reader is not None:
        readers["Go"] = partial(run_go_reader, programs.go_reader, programs, block, seconds)
    measured: dict[str, list[Rate]] = {name: [] for name in readers}
    others = Others()
    for _ in range(rounds):
        for name, run in readers.items():
            measured[name].append(run())
    print(
        f"bodies of {block.body_bytes:.0f} bytes, median of {rounds}; "
        f"others used {others.cores():.2f} cores"
    )
    medians = {name: statistics.median(one.records for one in measured[name]) for name in readers}
    for name, rate in medians.items():
        megabytes = rate * (block.body_bytes + PREFIX.size) / 1e6
        cpu_ns = 1e9 * statistics.median(one.cpu / one.records for one in measured[name])
        print(
            f"  {name:10} {rate / 1e3:8.0f} krec/s {megabytes:7.0f} MB/s {cpu_ns:7.0f} ns CPU each"
            f" {rate / medians['C parse']:6.2f} of C parse"
        )
    return medians


def show_many(programs: Programs, block: Block, seconds: float) -> float:
    """Many plugins: the cost of few records each, and fairness when all write flat out.

    Returns:
        The share of a core that they cost at few records each.
    """
    shares = []
    for rate in (PLUGIN_RATE, 0):
        others = Others()
        reached, fewest, most, counters = run_many(programs, block, seconds, rate)
        shares.append(reached.cpu)
        asked = f"at {rate} records/s each" if rate else "flat out"
        print(
            f"{PLUGINS} plugins {asked}: {100 * reached.cpu:.1f} % of a core, "
            f"{reached.records / 1e3:.1f} krec/s, fewest / most {fewest / most:.2f}, "
            f"lost {counters.dropped_total}, lag {counters.lag_ms:.1f} ms; "
            f"others used {others.cores():.2f} cores"
        )
    return shares[0]


def measure() -> list[Row]:
    """The budgets of ingest."""
    with tempfile.TemporaryDirectory() as place:
        programs = build(Path(place))
        block = write_block(Path(place, "block"), 256)
        medians = compare_readers(programs, block, 0.6, 5)
        share = show_many(programs, block, 2.0)
    host, c, go = medians["host"], medians["C parse"], medians.get("Go")
    return [
        Row(
            "plugin ingest at 256 B, of a C reader that parses",
            ">= 0.5",
            f"{ratio(host, c)} ({host / 1e6:.2f} M records/s)",
            f"C: {c / 1e6:.2f} M records/s",
            host >= 0.5 * c,
        ),
        Row(
            "plugin ingest at 256 B, of a host in Go",
            ">= 2",
            ratio(host, go) if go else "not measured",
            f"Go: {go / 1e6:.2f} M records/s" if go else "Go is not installed",
            host >= 2 * go if go else None,
        ),
        Row(
            f"{PLUGINS} plugins at {PLUGIN_RATE:,} records/s each",
            "< 10 % of a core",
            f"{share:.1%} of a core",
            holds=share < 0.1,
        ),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="bytes of a body")
    parser.add_argument("--seconds", type=float, default=0.6, help="length of one measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each reader")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        programs = build(Path(place))
        for size in chosen.sizes:
            block = write_block(Path(place, f"block-{size}"), size)
            compare_readers(programs, block, chosen.seconds, chosen.rounds)
        block = write_block(Path(place, "block"), 256)
        show_many(programs, block, 3 * chosen.seconds)


if __name__ == "__main__":
    main()
