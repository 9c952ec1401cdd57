"""An engine whose every pane is alive, with kernel events at any rate, and what the console's loop
makes of it.

The events are real ones, kept as the probe keeps them: raw, and made records when the console
reads them.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.snapshot import Snapshot
from engine.probe.ring import Taken
from engine.probe.store import EventStore
from tests.ui.fake_engine import FakeEngine, record
from tests.unit.probe.raw_events import raw_event

KEPT = 100_000
TICK_S = 0.02
LOOK_EVERY_S = 0.01
PLUGINS, PROCESSES, SWITCHES = 8, 30, 60
MESSAGES_PER_TICK, RECORDS_PER_TICK = 2, 20
"""Of traffic 100 a second, of plugins 1,000."""


class BusyEngine(FakeEngine):
    """Emits while it runs, and measures how late the loop that asks for snapshots is.

    Args:
        rate: Kernel events a second.
    """

    def __init__(self, rate: int) -> None:
        super().__init__(capacity=10_000)
        self._rate = rate
        self._store = EventStore(KEPT)
        self._rings["kernel_event"] = self._store  # type: ignore[assignment]
        self._stopping = threading.Event()
        self._producer = threading.Thread(target=self._produce, daemon=True)
        self._watcher: asyncio.Task[None] | None = None
        self.producer_cpu_s = 0.0
        self.lags_s: list[float] = []
        self.set_cells(*((f"syscall_exit-call{n}", "file", n < 10) for n in range(SWITCHES)))
        self.set_table("process", (listener(number) for number in range(PROCESSES)))
        self._change_tables(0)

    def snapshot(self) -> Snapshot:
        """As the console asks for it; the first time its loop begins to be watched."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return super().snapshot()

    def start(self) -> None:
        """Begin to emit."""
        super().start()
        self._producer.start()

    def stop(self) -> None:
        """End that."""
        self._stopping.set()
        if self._producer.is_alive():
            self._producer.join()
        super().stop()

    async def _watch(self) -> None:
        """Note how much later than asked for the loop goes on."""
        while True:
            asked = time.perf_counter() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            self.lags_s.append(time.perf_counter() - asked)

    def _produce(self) -> None:
        chunk = taken(int(self._rate * TICK_S))
        ticks, due = 0, time.monotonic()
        offset_ns = time.time_ns() - time.monotonic_ns()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            self._store.append(chunk, offset_ns + time.monotonic_ns())
            self.emit(*plugin_records(ticks), *messages(ticks))
            if ticks % 50 == 0:
                self._change_tables(ticks)
                self.pass_time(1.0)
            ticks, due = ticks + 1, due + TICK_S
        self.producer_cpu_s = time.thread_time()

    def _change_tables(self, ticks: int) -> None:
        """Every figure of every plugin is another one each second."""
        self.set_table("plugin_state", (plugin(number, ticks) for number in range(PLUGINS)))
        self.set_table("wasm_plugin", (wasm_plugin(ticks),))


def taken(number: int) -> Taken:
    """So many events as the ring gives them."""
    raw = raw_event("syscall_exit-openat", ts=1_000, latency=12_000, comm=b"nginx")
    row = len(raw).to_bytes(8, "little") + raw + bytes(-len(raw) % 8)
    return Taken(row * number, number, 8)


def listener(number: int) -> Record:
    """A process with a port."""
    ports: JsonValue = [{"port": 8000 + number, "proto": "tcp", "address": "127.0.0.1"}]
    return record("process", 100 + number, f"service{number}", ports=ports, start=1)


def plugin(number: int, ticks: int) -> Record:
    """A plugin's figures, others with each tick."""
    count = ticks * RECORDS_PER_TICK + number
    return record(
        "plugin_state",
        200 + number,
        f"plugin{number}",
        plugin=f"plugin{number}",
        plugin_kind="process",
        state="running",
        tx_rate=100.0 + ticks % 97,
        tx_speed=20_000.0 + ticks % 997,
        tx_count=count,
        tx_bytes=count * 128,
        cpu=0.01 * (ticks % 7),
        rss=13_000_000 + ticks,
    )


def wasm_plugin(ticks: int) -> Record:
    """A Wasm plugin's figures."""
    return record("wasm_plugin", plugin="demo", state="running", calls=ticks * MESSAGES_PER_TICK)


def plugin_records(tick: int) -> Iterator[Record]:
    """What plugins send in one tick."""
    for number in range(RECORDS_PER_TICK):
        name = f"plugin{number % PLUGINS}"
        fields = {"path": "/usr/bin/true", "number": str(tick * RECORDS_PER_TICK + number)}
        yield record("plugin_record", plugin=name, data_type=7000, fields=fields)


def messages(tick: int) -> Iterator[Record]:
    """What goes over the wire in one tick."""
    for number in range(MESSAGES_PER_TICK):
        yield record(
            "l7_message",
            100 + number,
            "service",
            protocol="HTTP",
            src="127.0.0.1:50000",
            dst="127.0.0.1:8000",
            request=f"GET /api/{tick}",
            status="200",
            latency_ms=1.5,
            parsed_by="built-in",
        )
