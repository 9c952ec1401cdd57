"""The demo for a while, everything subscribed and recorded: does anything grow, lag or get lost?

    .venv/bin/python -m tests.perf.soak [--minutes M] [--picture FILE] [--records N]

Needs root and BCC. The engine runs in this process as it does under the console, a reader pulls
what a console pulls; memory, descriptors, threads, lag and losses are taken each second and drawn.

Memory grows for as long as the stores fill, which takes hours for what comes rarely. With --records
each keeps so few that they are full at once: what grows then is a leak.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import psutil

from engine.core.errors import BoxscopeError
from engine.core.records import RecordRing
from engine.core.settings import Settings
from engine.demo import DemoEngine
from tests.perf.chart import Chart, picture
from tests.waiting import wait_until
from tui.collector import rare_collections

READY_S = 180.0
PULL_S, SAMPLE_S = 0.2, 1.0
SUBSCRIBED = ("@network", "@processes")
STREAMS = ("kernel_event", "plugin_record", "l7_message", "wasm_result", "log")
WARM_UP = 0.4
"""Share of the time after which memory is expected to have found its level."""


class Sample(NamedTuple):
    """How it was at one moment."""

    second: float
    resident: int
    """Bytes."""
    descriptors: int
    threads: int
    late_ms: float
    """How much later than asked for the reader woke up, at most."""
    lag_ms: float
    """The greatest lag of any source."""
    pulled: int
    seen: Mapping[str, int]
    dropped: Mapping[str, int]
    cpu_s: float
    recorded: int
    """Bytes of the recording."""


class Reader:
    """Pulls as the console does, and notes how late it gets its turn."""

    def __init__(self, engine: DemoEngine) -> None:
        self._engine = engine
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="soak-reader", daemon=True)
        self.pulled = 0
        self._late_ms = 0.0

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def take_late_ms(self) -> float:
        """The greatest delay since this was last asked."""
        late, self._late_ms = self._late_ms, 0.0
        return late

    def _run(self) -> None:
        cursors = dict.fromkeys(STREAMS, 0)
        due = time.monotonic() + PULL_S
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._late_ms = max(self._late_ms, (time.monotonic() - due) * 1e3)
            for kind in STREAMS:
                newest = self._engine.last_seq(kind)
                batch = self._engine.since(kind, max(cursors[kind], newest - 200), 200)
                cursors[kind] = batch.last_seq
                self.pulled += len(batch.records)
            self._engine.snapshot()
            due = max(due + PULL_S, time.monotonic())


@contextmanager
def running(place: Path) -> Iterator[tuple[DemoEngine, Reader]]:
    """The demo with everything on, recorded and read."""
    with DemoEngine(Settings()) as engine:
        wait_until(lambda: engine.snapshot().sources["probe"].state == "running", READY_S)
        for event in SUBSCRIBED:
            with suppress(BoxscopeError):
                engine.subscribe(event)
        engine.start_recording(place / "soak.db")
        with Reader(engine) as reader:
            yield engine, reader


def samples(minutes: float, place: Path) -> Iterator[Sample]:
    """What is measured, once a second."""
    process = psutil.Process()
    with running(place) as (engine, reader):
        began = time.monotonic()
        while (second := time.monotonic() - began) < minutes * 60:
            time.sleep(SAMPLE_S)
            yield _sample(second, process, engine, reader, place)


def _sample(
    second: float, process: psutil.Process, engine: DemoEngine, reader: Reader, place: Path
) -> Sample:
    snapshot = engine.snapshot()
    counters = {name: status.counters for name, status in snapshot.sources.items()}
    unbalanced = [name for name, each in counters.items() if not each.balanced]
    if unbalanced:
        raise SystemExit(f"the counters of {', '.join(unbalanced)} do not add up")
    with process.oneshot():
        return Sample(
            second,
            process.memory_info().rss,
            process.num_fds(),
            process.num_threads(),
            reader.take_late_ms(),
            max(each.lag_ms for each in counters.values()),
            reader.pulled,
            {name: each.seen for name, each in counters.items()},
            {name: each.dropped_total for name, each in counters.items()},
            sum(process.cpu_times()[:2]),
            sum(file.stat().st_size for file in place.glob("soak.db*")),
        )


def keep_few(records: int) -> None:
    """Have every ring that is made from now on hold no more than so many records."""
    make = RecordRing.__init__
    RecordRing.__init__ = (  # type: ignore[method-assign]
        lambda self, capacity: make(self, min(capacity, records))
    )


def slope_mb_per_hour(taken: list[Sample]) -> float:
    """Growth of memory after the warm-up, by least squares."""
    late = taken[int(len(taken) * WARM_UP) :]
    mean_x = sum(each.second for each in late) / len(late)
    mean_y = sum(each.resident for each in late) / len(late)
    over = sum((each.second - mean_x) * (each.resident - mean_y) for each in late)
    under = sum((each.second - mean_x) ** 2 for each in late)
    return over / under * 3_600 / 1e6 if under else 0.0


def drawn(taken: list[Sample]) -> str:
    """The picture."""
    seconds = [each.second for each in taken]
    rates = _each_second(taken, lambda each: each.seen.get("probe", 0))
    shares = _each_second(taken, lambda each: 100 * each.cpu_s)
    sources = sorted({name for each in taken for name, lost in each.dropped.items() if lost})[:4]
    charts = (
        Chart("resident memory", "MB", {"": [each.resident / 1e6 for each in taken]}),
        Chart(
            "descriptors and threads",
            "number",
            {
                "descriptors": [float(each.descriptors) for each in taken],
                "threads": [float(each.threads) for each in taken],
            },
        ),
        Chart(
            "lag of the sources, and of a reader's turn",
            "ms",
            {
                "sources": [each.lag_ms for each in taken],
                "reader": [each.late_ms for each in taken],
            },
        ),
        Chart(
            "lost",
            "records",
            {name: [float(each.dropped.get(name, 0)) for each in taken] for name in sources}
            or {"nothing": [0.0 for _ in taken]},
        ),
        Chart("kernel events", "per second", {"": rates}),
        Chart("processor", "% of a core", {"": shares}),
        Chart("recording", "MB", {"": [each.recorded / 1e6 for each in taken]}),
    )
    return picture(f"boxscope soak, {os.uname().release}", seconds, charts)


def _each_second(taken: list[Sample], value: Callable[[Sample], float]) -> list[float]:
    """How fast something that counts up did so, from sample to sample."""
    return [0.0] + [
        (value(after) - value(before)) / (after.second - before.second)
        for before, after in pairwise(taken)
    ]


def tell(taken: list[Sample]) -> None:
    """The figures."""
    warm, last = taken[int(len(taken) * WARM_UP)], taken[-1]
    lines = (
        f"{last.second / 60:.1f} minutes, {len(taken)} samples",
        f"memory       {warm.resident / 1e6:.1f} MB after the warm-up, "
        f"{last.resident / 1e6:.1f} MB at the end, slope {slope_mb_per_hour(taken):+.1f} MB/h",
        f"descriptors  {warm.descriptors} then, {last.descriptors} at the end",
        f"threads      {warm.threads} then, {last.threads} at the end",
        f"lag          at most {max(each.lag_ms for each in taken):.0f} ms of a source, "
        f"{max(each.late_ms for each in taken):.0f} ms of a reader's turn",
        f"processor    {100 * last.cpu_s / last.second:.1f} % of a core",
        f"recording    {last.recorded / 1e6:.1f} MB",
        *(
            f"{name:<12} seen {last.seen[name]:,}  dropped {last.dropped[name]:,}"
            for name in sorted(last.seen)
        ),
    )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """Run, tell and draw."""
    parser = argparse.ArgumentParser(description="Run the demo for long and look what grows.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--picture", type=Path, default=Path("soak.svg"))
    parser.add_argument("--records", type=int, default=0, help="that each store keeps at most")
    chosen = parser.parse_args()
    if chosen.records:
        keep_few(chosen.records)
    with tempfile.TemporaryDirectory() as place, rare_collections():
        taken = list(samples(chosen.minutes, Path(place)))
    chosen.picture.write_text(drawn(taken))
    tell(taken)
    sys.stdout.write(f"picture      {chosen.picture}\n")


if __name__ == "__main__":
    main()
