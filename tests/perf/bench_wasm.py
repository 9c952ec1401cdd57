"""Time of hook calls of the fixture plugins, and memory after many of them.

    .venv/bin/python -m tests.perf.bench_wasm [--calls N] [--many N] [--requests N]

Each hook is called through Wasmtime's documented Python API and through ours, in the same run and
with the same host functions. "call" is the plugin's function with its host calls, as an agent
would count it; "whole" is everything from the message to the kept record.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import psutil
import wasmtime

import fixtures
from engine.core.clock import SystemClock
from engine.core.counters import Counters
from engine.core.source import Logbook
from engine.traffic.inputs import Item, Wait
from engine.traffic.packets import ACK, TCP, Segment
from engine.traffic.source import TrafficSource
from engine.wasm.abi import (
    SERVER_TO_CLIENT,
    BaseContext,
    HttpRequest,
    HttpResponse,
)
from engine.wasm.custom import nats_message
from engine.wasm.host import WasmHost
from engine.wasm.hostcalls import CallContext, GuestMemory, HostFunctions
from engine.wasm.imports import DEEPFLOW, DEEPFLOW_FUNCTIONS
from engine.wasm.journal import Journal
from engine.wasm.options import HostOptions
from tests.perf.rows import Row

PLUGINS = Path(fixtures.__file__).parent / "wasm"
ASKED = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 80, 1_700_000_000_000_000)
ANSWERED = replace(ASKED, direction=SERVER_TO_CLIENT)
HEAD = (
    b"GET /api/users/42?full=1 HTTP/1.1\r\nHost: acme.shop.test\r\nUser-Agent: curl/8.5\r\n"
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n"
)
REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"data":[],"code":404}'
KV_FRAME = b"KV\x01\0\0\0\7\0\6colour"
BOX1_LINE = b"BOX1 7 GET colour\n"
REQUEST = HttpRequest(b"/api/users/42?full=1", b"acme.shop.test", b"curl/8.5")


class Case(NamedTuple):
    """One hook of one plugin with its message."""

    plugin: str
    export: str
    context: CallContext

    def offer(self, host: WasmHost) -> object:
        """Offer the message through the host."""
        base, payload = self.context.base, self.context.payload
        match self.export:
            case "on_http_req":
                return host.on_http_req(base, REQUEST, payload)
            case "on_http_resp":
                return host.on_http_resp(base, HttpResponse(200, b"/api"), payload)
            case "check_payload":
                return host.check_payload(base, payload)
            case "parse_payload":
                return host.parse_payload(base, payload, base.l7)
        return host.on_custom_message(base, MESSAGE, payload)


MESSAGE = nats_message("svc.Get", "_INBOX.1", b"\x0a\x01A")
CASES = (
    Case("demo", "on_http_req", CallContext(ASKED, HEAD, request=REQUEST)),
    Case("demo", "check_payload", CallContext(ASKED, BOX1_LINE)),
    Case("demo", "parse_payload", CallContext(replace(ASKED, l7=101), BOX1_LINE)),
    Case("http", "on_http_req", CallContext(ASKED, HEAD, request=REQUEST)),
    Case("http", "on_http_resp", CallContext(ANSWERED, REPLY, response=HttpResponse(200, b"/api"))),
    Case("kv", "check_payload", CallContext(ASKED, KV_FRAME)),
    Case("kv", "parse_payload", CallContext(replace(ASKED, l7=77), KV_FRAME)),
    Case("custom", "on_custom_message", CallContext(ASKED, b"", custom=MESSAGE)),
)


class DocumentedPlugin:
    """A plugin run through nothing but the documented API, with our host functions."""

    def __init__(self, path: Path) -> None:
        config = wasmtime.Config()
        config.epoch_interruption = True
        engine = wasmtime.Engine(config)
        self._functions = HostFunctions()
        linker = wasmtime.Linker(engine)
        i32 = wasmtime.ValType.i32()
        functions: dict[str, Callable[..., int | None]] = {
            **self._functions.table(),
            "wasm_log": self._log,
        }
        for name, function in functions.items():
            if name in DEEPFLOW_FUNCTIONS:
                params, results = DEEPFLOW_FUNCTIONS[name]
                kind = wasmtime.FuncType([i32] * params, [i32] * results)
                linker.define_func(DEEPFLOW, name, kind, self._linked(function), access_caller=True)
        self._store = wasmtime.Store(engine)
        self._store.set_epoch_deadline(10)
        module = wasmtime.Module(engine, path.read_bytes())
        self._exports = linker.instantiate(self._store, module).exports(self._store)
        self.call("_start", CASES[0].context)

    def call(self, export: str, context: CallContext) -> float:
        """Call a hook; returns the microseconds it took."""
        self._functions.context = replace(context)
        self._functions.journal = Journal()
        function = self._exports[export]
        assert isinstance(function, wasmtime.Func)
        self._store.set_epoch_deadline(10)
        began = time.perf_counter_ns()
        function(self._store)
        return (time.perf_counter_ns() - began) / 1_000

    def _log(self, memory: GuestMemory, pointer: int, length: int, level: int) -> None:
        self._functions.wasm_log(memory, pointer, length, level)

    @staticmethod
    def _linked(function: Callable[..., int | None]) -> Callable[..., int | None]:
        def call(caller: wasmtime.Caller, *arguments: int) -> int | None:
            return function(_CallerMemory(caller), *(each & 0xFFFF_FFFF for each in arguments))

        return call


class _CallerMemory:
    """Guest memory through the documented API."""

    def __init__(self, caller: wasmtime.Caller) -> None:
        memory = caller["memory"]
        assert isinstance(memory, wasmtime.Memory)
        self._caller, self._memory = caller, memory

    def contains(self, pointer: int, length: int) -> bool:
        return pointer + length <= self._memory.data_len(self._caller)

    def read(self, pointer: int, length: int) -> bytes:
        return bytes(self._memory.read(self._caller, pointer, pointer + length))

    def write(self, pointer: int, content: bytes) -> None:
        self._memory.write(self._caller, content, pointer)


def new_host(*plugins: str, measure: bool = False) -> WasmHost:
    """A host with fixture plugins."""
    clock = SystemClock()
    host = WasmHost(clock, Logbook(clock), options=HostOptions(measure=measure))
    for name in plugins:
        host.load(PLUGINS / name / f"{name}.wasm")
    return host


def say(text: str) -> None:
    """Write a line."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def endless_ms(deadline_ms: int) -> float:
    """How long a hook that never returns is let run."""
    clock = SystemClock()
    host = WasmHost(clock, Logbook(clock), options=HostOptions(deadline_ms=deadline_ms))
    host.load(PLUGINS / "hostile" / "loop_request.wasm")
    began = time.perf_counter()
    host.on_http_req(ASKED, REQUEST, HEAD)
    taken = 1e3 * (time.perf_counter() - began)
    host.stop()
    return taken


def percentiles(times: list[float]) -> str:
    """p50 and p99."""
    ordered = sorted(times)
    return f"{ordered[len(ordered) // 2]:7.1f} {ordered[int(len(ordered) * 0.99)]:8.1f}"


def measured(case: Case, calls: int) -> Iterator[str]:
    """One row: documented call, our call, our whole."""
    documented = DocumentedPlugin(PLUGINS / case.plugin / f"{case.plugin}.wasm")
    yield percentiles([documented.call(case.export, case.context) for _ in range(calls)])
    host = new_host(case.plugin)
    ours, whole = [], []
    log = host.rings["wasm_result"]
    for _ in range(calls):
        began = time.perf_counter_ns()
        case.offer(host)
        whole.append((time.perf_counter_ns() - began) / 1_000)
    ours = [float(str(each.get("elapsed_us"))) for each in log.since(0, calls).records]
    host.stop()
    yield percentiles(ours)
    yield percentiles(whole)


def fuel_of(case: Case) -> int:
    """Instructions of a first call; the same in every run."""
    host = new_host(case.plugin, measure=True)
    case.offer(host)
    (record,) = host.rings["wasm_result"].since(0).records
    host.stop()
    fuel = record.get("fuel")
    return fuel if isinstance(fuel, int) else 0


def memory_after(calls: int) -> None:
    """Resident memory and linear memory before and after many calls."""
    host = new_host("demo")
    process = psutil.Process()
    before = process.memory_info().rss
    began = time.perf_counter()
    for number in range(calls):
        CASES[number % 3].offer(host)
        if number + 1 == calls // 10:
            early = process.memory_info().rss
    seconds = time.perf_counter() - began
    (row,) = host.tables()["wasm_plugin"]
    after = process.memory_info().rss
    say(f"{calls:,} calls of demo in {seconds:.1f} s, {calls / seconds:,.0f}/s")
    say(
        f"resident: {before >> 20} MiB before, {early >> 20} MiB after {calls // 10:,}, "
        f"{after >> 20} MiB at the end; linear memory {row.get('memory')} B"
    )
    host.stop()


def talk(requests: int) -> Iterator[Segment]:
    """One HTTP connection, kept alive."""
    ends = (ASKED.src, 40_000), (ASKED.dst, 80)
    seqs = [0, 0]
    for number in range(requests):
        for side, payload in enumerate((HEAD, REPLY)):
            source, target = ends[side], ends[1 - side]
            yield Segment(
                number * 1_000, source[0], target[0], source[1], target[1], TCP, ACK, seqs[side],
                payload, 0,
            )  # fmt: skip
            seqs[side] = (seqs[side] + len(payload)) % 2**32


class Replayed:
    """Segments made beforehand, as an input."""

    label, endless, in_order = "bench", False, True

    def __init__(self, requests: int) -> None:
        self._segments = list(talk(requests))

    def items(self, wait: Wait) -> Iterator[Item]:
        """The segments."""
        yield from self._segments

    def lost(self) -> Counters:
        """Nothing."""
        return Counters()


def messages_per_second(plugin: str, requests: int) -> float:
    """HTTP messages made a second, from segments to records."""
    clock = SystemClock()
    host = new_host(plugin) if plugin else None
    replayed = Replayed(requests)
    traffic = TrafficSource(clock, Logbook(clock), inputs=[replayed], wasm=host, capacity=requests)
    began = time.perf_counter()
    traffic.run_once()
    seconds = time.perf_counter() - began
    made = traffic.rings["l7_message"].last_seq
    assert made == requests
    if host is not None:
        host.stop()
    return made / seconds


def throughput(requests: int) -> None:
    """HTTP with and without a plugin, in turns; the best of each."""
    rates = dict.fromkeys(("", "http", "demo"), 0.0)
    for _ in range(3):
        for name in rates:
            rates[name] = max(rates[name], messages_per_second(name, requests))
    bare = rates[""]
    say(f"\nHTTP exchanges to messages, {requests:,} at once, best of 3")
    for name, rate in rates.items():
        say(f"{name or 'no plugin':<10} {rate:9,.0f} messages/s  {rate / bare:5.2f} of no plugin")


def measure() -> list[Row]:
    """The budgets of Wasm plugins."""
    calls, deadline_ms = 5_000, 100
    slowest, documented_ns = 0.0, 0.0
    for case in CASES:
        documented, ours, whole = measured(case, calls)
        say(f"{case.plugin:<7} {case.export:<17} {documented}  {ours}  {whole}")
        if float(ours.split()[0]) > slowest:
            slowest, documented_ns = float(ours.split()[0]), float(documented.split()[0])
    endless = endless_ms(deadline_ms)
    return [
        Row(
            "Wasm hook call, the slowest of the example plugins'",
            "p50 < 150 us",
            f"p50 {slowest:.0f} us",
            f"Wasmtime's documented interface {documented_ns:.0f} us",
            slowest < 150,
        ),
        Row(
            f"Wasm hook that never returns, deadline {deadline_ms} ms",
            "ends within it",
            f"{endless:.0f} ms",
            holds=endless < 1.5 * deadline_ms,
        ),
    ]


def main() -> None:
    """Print the memory, then the table, then the throughput."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=10_000)
    arguments = parser.parse_args()
    memory_after(arguments.many)
    say("\nmicroseconds               documented API        ours, call       ours, whole     fuel")
    say("plugin  export               p50      p99       p50      p99       p50      p99")
    for case in CASES:
        documented, ours, whole = measured(case, arguments.calls)
        name = f"{case.plugin:<7} {case.export:<17}"
        say(f"{name} {documented}  {ours}  {whole} {fuel_of(case):8,}")
    throughput(arguments.requests)


if __name__ == "__main__":
    main()
