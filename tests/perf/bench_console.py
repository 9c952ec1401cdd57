"""What the console costs: first paint, idle, a stream of 10,000 events a second, key to screen.

Runs the console under a pseudo-terminal of 160x45 cells and prints figures; asserts nothing.

    python -m tests.perf.bench_console
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
import termios
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROWS, COLUMNS = 45, 160
RATE = 10_000
SECONDS = 6.0
KEYS = 20


def child(mode: str, report: str) -> None:
    """Run the console on an engine that idles or streams; write the figures to `report`."""
    from tests.ui.fake_engine import FakeEngine, record
    from tui.console.run import run_console

    engine = FakeEngine(capacity=100_000)
    engine.set_cells(*((f"syscall_exit-{name}", "file", True) for name in ("openat", "read")))
    producer = Producer(engine, record("kernel_event")) if mode != "idle" else None
    if producer:
        producer.start()
    run_console(engine)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures = {
        "cpu_s": used.ru_utime + used.ru_stime,
        "producer_cpu_s": producer.stop() if producer else 0.0,
        "peak_rss_mb": used.ru_maxrss / 1024,
    }
    Path(report).write_text(json.dumps(figures))


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

    def __init__(self, mode: str, report: Path) -> None:
        self.begun = time.monotonic()
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS), LINES=str(ROWS))
            arguments = ["-m", "tests.perf.bench_console", "--child", mode, str(report)]
            os.execv(sys.executable, [sys.executable, *arguments])
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

    def finish(self) -> float:
        """Quit; returns the time until the process has ended."""
        begun = time.monotonic()
        self.press("q")
        while True:
            try:
                if not os.read(self.master, 65_536):
                    break
            except OSError:
                break
        os.waitpid(self.pid, 0)
        os.close(self.master)
        return time.monotonic() - begun


def measure(mode: str) -> dict[str, float]:
    """One run; the figures by name."""
    report = Path(f"/tmp/bench_console.{os.getpid()}.json")
    terminal = Terminal(mode, report)
    terminal.read_until(b"boxscope")
    first_paint = time.monotonic() - terminal.begun
    terminal.read(2.0)
    if mode == "zoomed":
        terminal.press("3")
        terminal.read(1.0)
    cpu_before = terminal.cpu_s()
    received = terminal.read(SECONDS)
    cpu = (terminal.cpu_s() - cpu_before) / SECONDS
    delays: list[float] = []
    for number in range(KEYS):
        key, answer = ("3", b"[3 Events]") if number % 2 else ("2", b"[2 Ports]")
        terminal.press(key)
        delays.append(terminal.read_until(answer))
        terminal.read(0.25)
    lived = time.monotonic() - terminal.begun
    quitting = terminal.finish()
    figures = json.loads(report.read_text())
    report.unlink()
    producer = figures["producer_cpu_s"] / lived
    delays.sort()
    return {
        "first_paint_s": first_paint,
        "cores": cpu - producer,
        "producer_cores": producer,
        "kB_per_s": received / SECONDS / 1000,
        "key_p50_ms": delays[len(delays) // 2] * 1000,
        "key_p95_ms": delays[int(len(delays) * 0.95) - 1] * 1000,
        "quit_s": quitting,
        "peak_rss_mb": figures["peak_rss_mb"],
    }


def main(arguments: Sequence[str]) -> None:
    """Measure all modes and print a line each."""
    if arguments[:1] == ["--child"]:
        child(arguments[1], arguments[2])
        return
    signal.alarm(120)
    for mode in ("idle", "stream", "zoomed"):
        figures = measure(mode)
        shown = "  ".join(f"{name}={value:.3f}" for name, value in figures.items())
        sys.stdout.write(f"{mode:8} {shown}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
