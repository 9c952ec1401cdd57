"""An engine that does what a test tells it: real rings and records, a scripted picture."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.core.counters import Counters
from engine.core.errors import BoxscopeError, UsageError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Batch, Record, RecordRing, new_record
from engine.core.snapshot import HostFacts, Snapshot
from engine.core.source import SourceState, SourceStatus
from engine.discovery.config import DiscoveryConfig
from engine.discovery.explain import Explanation, explain
from engine.discovery.policy import policy_of
from engine.discovery.ports import PortEnum
from engine.engine import Engine
from engine.modules.runner.protocol import Wanted

NOW_NS = 1_790_000_000_000_000_000
SOURCES = ("agent", "discovery", "probe", "traffic", "wasm", "modules")


def record(
    kind: str, pid: int | None = None, comm: str | None = None, **values: JsonValue
) -> Record:
    """A record of a kind with the fields named, the others unknown."""
    return new_record(KINDS[kind], values, ts_ns=NOW_NS, pid=pid, comm=comm)


class FakeEngine(Engine):
    """Steered by tests; `calls` tells which commands it was given."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.refusal: BoxscopeError | None = None
        self.repetitions: tuple[Record, ...] = ()
        """Calls that come of the next reload or rerun."""
        self.started = threading.Event()
        self.stopped = threading.Event()
        self._lock = threading.Lock()
        self._rings = {kind: RecordRing(capacity) for kind in KINDS}
        self._cells: dict[tuple[str, str], Record] = {}
        self._frames: dict[int, bytes] = {}
        self._snapshot = Snapshot(
            wall_ns=NOW_NS,
            elapsed_s=0.0,
            host=HostFacts("testbox", "6.18.0", "root"),
            sources={
                name: SourceStatus(name, "running", counters=Counters(10, 9, {"ring_full": 1}, 0.4))
                for name in SOURCES
            },
            tables={},
            own_cpu=0.01,
            own_rss=50_000_000,
        )

    # Steering.

    def emit(self, *records: Record) -> None:
        """Let records arrive."""
        by_kind: dict[str, list[Record]] = {}
        for one in records:
            by_kind.setdefault(one.kind, []).append(one)
        for kind, several in by_kind.items():
            self._rings[kind].extend(several)

    def emit_events(self, count: int, *, comm: str = "cat") -> None:
        """Let kernel events arrive, named by their number."""
        last = self.last_seq("kernel_event")
        self.emit(
            *(
                record(
                    "kernel_event",
                    pid=7,
                    comm=comm,
                    name="openat",
                    direction="exit",
                    category="file",
                    attributes={"name": f"/tmp/{last + number}"},
                )
                for number in range(1, count + 1)
            )
        )

    def set_table(self, kind: str, rows: Iterable[Record]) -> None:
        """Replace a table."""
        with self._lock:
            tables = {**self._snapshot.tables, kind: tuple(rows)}
            self._snapshot = replace(self._snapshot, tables=tables)

    def set_source(self, name: str, state: SourceState, reason: str = "", fix: str = "") -> None:
        """Change the state of a source."""
        with self._lock:
            sources: Mapping[str, SourceStatus] = {
                **self._snapshot.sources,
                name: SourceStatus(name, state, reason, fix),
            }
            self._snapshot = replace(self._snapshot, sources=sources)

    def pass_time(self, seconds: float) -> None:
        """Let the engine's clock go on."""
        with self._lock:
            self._snapshot = replace(
                self._snapshot,
                wall_ns=self._snapshot.wall_ns + int(seconds * 1e9),
                elapsed_s=self._snapshot.elapsed_s + seconds,
            )

    def set_cells(self, *cells: tuple[str, str, bool]) -> None:
        """Lay out the subscription matrix: event, category, on."""
        for event, category, on in cells:
            self._cells[event, category] = record(
                "subscription", event=event, category=category, on=on, rate=0.0, total=0
            )
        self.set_table("subscription", self._cells.values())

    def keep_frame(self, seq: int, body: bytes | None) -> None:
        """Keep the bytes of a plugin's record, or let them go."""
        if body is None:
            self._frames.pop(seq)
        else:
            self._frames[seq] = body

    def relabel(self, label: str) -> None:
        """Be a recording instead of a live box."""
        self._snapshot = replace(self._snapshot, source_label=label)

    # The engine's face.

    def start(self) -> None:
        """Note it."""
        self.started.set()

    def stop(self) -> None:
        """Note it."""
        self.stopped.set()

    def snapshot(self) -> Snapshot:
        """The scripted picture."""
        with self._lock:
            return self._snapshot

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records of a kind."""
        return self._rings[kind].since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""
        return self._rings[kind].last_seq

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes of a plugin's record, or the payload of a Wasm call."""
        return self._frames.get(seq) if kind in ("plugin_record", "wasm_result") else None

    def set_ports(self, text: str) -> None:
        """Note it, unless told to refuse."""
        PortEnum.parse(text)
        self._obey("set_ports", text)

    def explain(self, pid: int) -> Explanation:
        """What a real engine that looks for port 1 would say, unless told to refuse."""
        self._obey("explain", str(pid))
        return explain(pid, policy_of(DiscoveryConfig().with_selectors(open_port="1")))

    def load_plugin(self, executable: Path, *, name: str = "", detail: str = "") -> str:
        """Note it, unless told to refuse."""
        self._obey("load_plugin", str(executable), name, detail)
        return name or executable.stem

    def unload_plugin(self, name: str) -> None:
        """Note it, unless told to refuse."""
        self._obey("unload_plugin", name)

    def restart_plugin(self, name: str) -> None:
        """Note it, unless told to refuse."""
        self._obey("restart_plugin", name)

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Note it, unless told to refuse."""
        self._obey("send_task", name, str(data_type), data)
        return f"token-{len(self.calls)}"

    def load_wasm(self, path: Path) -> str:
        """Note it, unless told to refuse."""
        self._obey("load_wasm", str(path))
        return path.stem

    def reload_wasm(self, name: str) -> str:
        """Note it, and make the repetitions it was told of, unless told to refuse."""
        self._obey("reload_wasm", name)
        self.emit(*self.repetitions)
        return name

    def unload_wasm(self, name: str) -> None:
        """Note it, unless told to refuse."""
        self._obey("unload_wasm", name)

    def rerun_payload(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Note it, and make the repetitions it was told of, unless told to refuse."""
        shown = "" if payload is None else payload.hex()
        self._obey("rerun_payload", str(seq), shown, " ".join(map(str, cuts)))
        before = self.last_seq("wasm_result")
        self.emit(*self.repetitions)
        return tuple(range(before + 1, self.last_seq("wasm_result") + 1))

    def load_module(self, wanted: Wanted, *, name: str = "") -> str:
        """Note it, unless told to refuse."""
        what = (wanted.symbol, wanted.interface, wanted.call)
        self._obey("load_module", str(wanted.file), *what, name)
        return name or wanted.file.stem

    def call_module(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Note it, unless told to refuse."""
        self._obey("call_module", name, method, *map(str, args))
        return f"token-{len(self.calls)}"

    def attach(self, pid: int) -> None:
        """Note it, unless told to refuse."""
        self._obey("attach", str(pid))

    def detach(self, pid: int) -> None:
        """Note it, unless told to refuse."""
        self._obey("detach", str(pid))

    def subscribe(self, event: str, category: str = "") -> None:
        """Switch a cell on, unless told to refuse."""
        self._switch("subscribe", event, category, True)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Switch a cell off, unless told to refuse."""
        self._switch("unsubscribe", event, category, False)

    def switch(self, subscriptions: Sequence[tuple[str, str]], on: bool) -> None:
        """Switch cells on or off, unless told to refuse; one call for all of them."""
        self._obey("on" if on else "off", *(f"{event}:{each}" for event, each in subscriptions))
        self.set_cells(*((event, each, on) for event, each in subscriptions if each))

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Note it, unless told to refuse."""
        self._obey("set_pids", *(["follow"] if follow else []), *map(str, sorted(pids)))

    def time_programs(self, wanted: bool) -> None:
        """Note it, unless told to refuse."""
        self._obey("time_programs", str(wanted))

    def _obey(self, *call: str) -> None:
        self.calls.append(call)
        if self.refusal is not None:
            raise self.refusal

    def _switch(self, call: str, event: str, category: str, on: bool) -> None:
        self._obey(call, event, category)
        if (event, category) not in self._cells:
            raise UsageError(f"no event is named {event}:{category}")
        self.set_cells((event, category, on))
