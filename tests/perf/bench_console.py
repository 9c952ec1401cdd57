"""What the console costs: first paint, idle, streams, key to screen, also while a plugin floods.

Runs the console under a pseudo-terminal of 160x45 cells and prints figures; asserts nothing.

    python -m tests.perf.bench_console [MODE ...]

    idle     nothing happens
    steady   10,000 kernel events a second for 20 s, all panes alive and in view
    rush     100,000 a second for 10 s, the same
    stream   10,000 kernel events a second, all panes in view
    zoomed   the same, the pane of the stream alone
    kept     20,000 real kernel events a second, 100,000 kept; needs root and BCC
    python   a plugin in Python writes records of 128 B as fast as it can, all panes in view
    flood    one in C does, through the same engine; needs a C compiler
    pane     the same, the plugin selected and its pane alone
    detail   the same, on the screen about the plugin
    record   the same, in the inspector of one of its records
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import resource
import select
import signal
import struct
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

from engine.engine import Engine
from tests.perf.bench_recording import EVENT, load
from tests.perf.rows import Row

ROWS, COLUMNS = 45, 160
RATE = 10_000
SECONDS = 6.0
KEYS = 40
PAINTS = 5
FLOOD_BYTES = 128
"""Length of a record of the plugin that floods."""


class Mode(NamedTuple):
    """What is measured."""

    before: Sequence[tuple[str, bytes]]
    """Keys pressed before, and what comes on the screen for each."""
    keys: Sequence[tuple[str, bytes]]
    """Keys pressed in turn to see how long the screen takes."""
    seconds: float = SECONDS
    """Time the console is watched before."""


PANES = (("3", b"[3 Events"), ("2", b"[2 Ports"))
"""A title in brackets is that of the pane in view; what does not run well has a mark behind it."""
PARTS = (("5", b"[5 Records]"), ("2", b"[2 Throughput]"))
MODES = {
    "idle": Mode((), PANES),
    "steady": Mode((), PANES, 20.0),
    "rush": Mode((), PANES, 10.0),
    "stream": Mode((), PANES),
    "zoomed": Mode((("3", b"[3 Events]"),), PANES[::-1]),
    "kept": Mode((), PANES),
    "python": Mode((), PANES),
    "flood": Mode((), PANES),
    "pane": Mode(
        (("1", b"[1 Plugins]"), ("j", "›".encode())), (("3", b"[3 Events]"), ("1", b"[1 Plugins]"))
    ),
    "detail": Mode((("j", "›".encode()), ("\r", b"Throughput")), PARTS),
    "record": Mode(
        (("j", "›".encode()), ("\r", b"Throughput"), ("5", b"[5 Records]"), ("\r", b"2 Bytes")),
        (("1", b"[1 Reading]"), ("2", b"[2 Bytes]")),
    ),
}

BUSY = {"steady": 10_000, "rush": 100_000}
"""Modes with all panes alive, and their kernel events a second."""
FLOODED = ("flood", "pane", "detail", "record")
"""Modes with the plugin in C."""


def child(mode: str, report: str) -> None:
    """Run the console on an engine that idles or streams; write the figures to `report`."""
    from tui.console.run import run_console

    if mode in BUSY:
        run_busy(BUSY[mode], report)
        return
    producer: Producer | None = None
    engine: Engine
    if mode in ("idle", "stream", "zoomed"):
        engine, producer = scripted_engine(stream=mode != "idle")
    elif mode == "kept":
        engine = probed_engine()
    else:
        engine = flooded_engine(Path(report).parent, in_c=mode in FLOODED)
    with load() if mode == "kept" else nullcontext():
        run_console(engine)
    used = resource.getrusage(resource.RUSAGE_SELF)
    snapshot = engine.snapshot()
    agent = snapshot.sources.get("agent")
    figures = {
        "cpu_s": used.ru_utime + used.ru_stime,
        "producer_cpu_s": producer.stop() if producer else 0.0,
        "peak_rss_mb": used.ru_maxrss / 1024,
        "records": agent.counters.seen if agent else 0,
        "events": engine.last_seq("kernel_event"),
    }
    Path(report).write_text(json.dumps(figures))


def run_busy(rate: int, report: str) -> None:
    """Run the console with all panes alive; write the figures to `report`."""
    from tests.perf.busy_engine import BusyEngine
    from tui.console.run import run_console

    engine = BusyEngine(rate)
    run_console(engine)
    lags = sorted(engine.lags_s)
    figures = {
        "producer_cpu_s": engine.producer_cpu_s,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "records": engine.last_seq("plugin_record"),
        "events": engine.last_seq("kernel_event"),
        "lag_p95_ms": lags[int(len(lags) * 0.95)] * 1000,
        "lag_p99_ms": lags[int(len(lags) * 0.99)] * 1000,
    }
    Path(report).write_text(json.dumps(figures))


def scripted_engine(*, stream: bool) -> tuple[Engine, Producer | None]:
    """An engine that costs nothing but what its producer takes."""
    from tests.ui.fake_engine import FakeEngine, record

    engine = FakeEngine(capacity=100_000)
    engine.set_cells(*((f"syscall_exit-{name}", "file", True) for name in ("openat", "read")))
    producer = Producer(engine, record("kernel_event")) if stream else None
    if producer:
        producer.start()
    return engine, producer


def probed_engine() -> Engine:
    """The real engine with the probe and discovery; `load` makes the calls."""
    from engine.core.settings import Settings
    from engine.live import LiveEngine
    from engine.selection import Selection

    subscriptions = ((EVENT, ""),)
    return LiveEngine(
        Selection(probe=True, discovery=True, subscriptions=subscriptions), Settings()
    )


def prepare_flood(directory: Path) -> None:
    """Compile the plugin and write the records it sends."""
    from tests.perf.ingest_peers import build, write_block

    build(directory)
    write_block(directory / "block", FLOOD_BYTES)


def flooded_engine(directory: Path, *, in_c: bool) -> Engine:
    """The real engine, with one plugin that writes as fast as it can."""
    import fixtures
    from engine.core.settings import Settings
    from engine.live import LiveEngine
    from engine.selection import PluginRequest, Selection

    if in_c:
        plugin = PluginRequest(directory / "writer", "flood", f"0 {directory / 'block'}")
    else:
        executable = Path(fixtures.__file__).parent / "plugins" / "flood"
        detail = json.dumps({"rate": 10_000_000, "size": FLOOD_BYTES})
        plugin = PluginRequest(executable, "flood", detail)
    return LiveEngine(Selection(agent=True, plugins=(plugin,)), Settings())


class Producer:
    """Emits events at RATE and counts the CPU this takes, which is not the console's."""

    def __init__(self, engine: object, template: object) -> None:
        self._engine = engine
        self._template = template
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._cpu_s = 0.0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> float:
        """End; returns the CPU seconds used."""
        self._stopping.set()
        self._thread.join()
        return self._cpu_s

    def _run(self) -> None:
        from tests.ui.fake_engine import FakeEngine

        engine = self._engine
        assert isinstance(engine, FakeEngine)
        tick_s = 0.02
        due = time.monotonic()
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            engine.emit_events(int(RATE * tick_s))
            due += tick_s
        self._cpu_s = time.thread_time()


class Terminal:
    """The console in a pseudo-terminal."""

    def __init__(self, *arguments: str) -> None:
        self.begun = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
            os.execv(sys.executable, [sys.executable, "-m", *arguments])
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))

    def read(self, seconds: float) -> int:
        """Read what comes for a time; returns the number of bytes."""
        end, total = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            if select.select([self.master], [], [], left)[0]:
                total += len(os.read(self.master, 65_536))
        return total

    def read_until(self, wanted: bytes, seconds: float = 10.0) -> float:
        """Read until some text has come; returns the time this took."""
        begun, seen = time.monotonic(), b""
        while wanted not in seen:
            if not select.select([self.master], [], [], seconds)[0]:
                raise TimeoutError(f"{wanted!r} did not come")
            seen = seen[-len(wanted) :] + os.read(self.master, 65_536)
        return time.monotonic() - begun

    def press(self, key: str) -> None:
        """Type a key."""
        os.write(self.master, key.encode())

    def cpu_s(self) -> float:
        """CPU seconds used by the console's process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_mb(self) -> float:
        """Memory of the console's process that is resident now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def finish(self) -> float:
        """Quit; returns the time until the process has ended."""
        begun = time.monotonic()
        self.press("\x03")
        while True:
            try:
                if not os.read(self.master, 65_536):
                    break
            except OSError:
                break
        os.waitpid(self.pid, 0)
        os.close(self.master)
        return time.monotonic() - begun


def first_paint_s() -> float:
    """How long the command itself takes to its first paint on this box; the median of several."""
    taken: list[float] = []
    for _ in range(PAINTS):
        terminal = Terminal("tui.cli")
        terminal.read_until(b"boxscope")
        taken.append(time.monotonic() - terminal.begun)
        terminal.finish()
    sys.stdout.write(f"paint    {'  '.join(f'{each:.3f}' for each in taken)} s\n")
    return sorted(taken)[PAINTS // 2]


def measure_mode(name: str, directory: Path) -> dict[str, float]:
    """One run; the figures by name."""
    report, mode = directory / f"{name}.json", MODES[name]
    terminal = Terminal("tests.perf.bench_console", "--child", name, str(report))
    terminal.read_until(b"boxscope")
    terminal.read(2.0)
    for key, answer in mode.before:
        terminal.press(key)
        terminal.read_until(answer)
        terminal.read(0.5)
    cpu_before = terminal.cpu_s()
    received = terminal.read(mode.seconds)
    cpu = (terminal.cpu_s() - cpu_before) / mode.seconds
    resident = terminal.resident_mb()
    delays: list[float] = []
    for number in range(KEYS):
        key, answer = mode.keys[number % len(mode.keys)]
        terminal.press(key)
        delays.append(terminal.read_until(answer))
        terminal.read(0.2 + 0.01 * (number % 11))
    lived = time.monotonic() - terminal.begun
    quitting = terminal.finish()
    figures = json.loads(report.read_text())
    producer = figures["producer_cpu_s"] / lived
    delays.sort()
    return {
        "cores": cpu - producer,
        "producer_cores": producer,
        "kB_per_s": received / mode.seconds / 1000,
        "Mrecords_per_s": figures["records"] / lived / 1e6,
        "key_p50_ms": delays[len(delays) // 2] * 1000,
        "key_p95_ms": delays[int(len(delays) * 0.95) - 1] * 1000,
        "key_max_ms": delays[-1] * 1000,
        "quit_s": quitting,
        "events": figures["events"],
        "rss_mb": resident,
        "peak_rss_mb": figures["peak_rss_mb"],
        **{name: figures[name] for name in ("lag_p95_ms", "lag_p99_ms") if name in figures},
    }


def main(arguments: Sequence[str]) -> None:
    """Measure all modes, or those named, and print a line each."""
    if arguments[:1] == ["--child"]:
        child(arguments[1], arguments[2])
        return
    measure(arguments)


def measure(modes: Sequence[str] = ("idle", "stream", "kept")) -> list[Row]:
    """Measure these modes and print a line each; returns the rows of what has a budget."""
    found: dict[str, dict[str, float]] = {}
    if unknown := set(modes) - MODES.keys():
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(MODES)}")
    for name in modes or MODES:
        signal.alarm(120)
        with tempfile.TemporaryDirectory() as directory:
            if name in FLOODED:
                prepare_flood(Path(directory))
            figures = found[name] = measure_mode(name, Path(directory))
        shown = "  ".join(f"{figure}={value:.3f}" for figure, value in figures.items())
        sys.stdout.write(f"{name:8} {shown}\n")
        sys.stdout.flush()
    return [*_rows_idle(found), *_rows_stream(found)]


def _rows_idle(found: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    if figures := found.get("idle"):
        paint, share = first_paint_s(), figures["cores"]
        yield Row("first paint", "< 0.5 s", f"{paint:.2f} s", holds=paint < 0.5)
        yield Row("console, idle", "< 2 % of a core", f"{share:.1%} of a core", holds=share < 0.02)
        yield Row("leaving", "< 0.5 s", f"{figures['quit_s']:.2f} s", holds=figures["quit_s"] < 0.5)


def _rows_stream(found: Mapping[str, Mapping[str, float]]) -> Iterator[Row]:
    if figures := found.get("stream"):
        share, late = figures["cores"], figures["key_p95_ms"]
        yield Row(
            f"console, {RATE:,} events/s", "< 0.25 core", f"{share:.2f} core", holds=share < 0.25
        )
        yield Row(
            f"key to screen, {RATE:,} events/s", "p95 < 100 ms", f"{late:.0f} ms", holds=late < 100
        )
    if figures := found.get("kept"):
        peak = figures["peak_rss_mb"]
        yield Row(
            "memory of console and engine, 100,000 kernel events kept",
            "< 120 MB",
            f"{peak:.0f} MB at most, {figures['events']:,.0f} events seen",
            holds=peak < 120,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
