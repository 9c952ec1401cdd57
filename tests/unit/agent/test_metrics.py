"""What a process uses, rates, and the last words on stderr."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engine.agent.metrics import ProcessMeter, RateMeter, Usage, last_line

SECOND = 1_000_000_000

BUSY = """
import os, sys, time
held = [os.open(os.devnull, os.O_RDONLY) for _ in range(7)]
end = time.process_time() + 0.3
while time.process_time() < end:
    pass
print("done", flush=True)
sys.stdin.read()
"""


@contextmanager
def child(program: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [sys.executable, "-IS", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        process.kill()


def test_agrees_with_psutil_about_a_process() -> None:
    with child(BUSY) as process:
        meter = ProcessMeter(process.pid)
        first = meter.sample(0)
        assert process.stdout is not None
        assert process.stdout.readline() == b"done\n"
        second = meter.sample(SECOND)
        other = psutil.Process(process.pid)
        assert first.cpu is None
        assert second.cpu == pytest.approx(sum(other.cpu_times()[:2]), abs=0.1)
        assert second.cpu > 0.2
        assert second.rss == pytest.approx(other.memory_info().rss, rel=0.2)
        assert second.fds == other.num_fds()
        assert second.comm == other.name()
        meter.close()
        meter.close()


def test_a_process_that_is_gone_is_unknown_even_if_its_number_is_used_again() -> None:
    with child("pass") as process:
        meter = ProcessMeter(process.pid)
        process.wait()
        assert meter.sample(SECOND) == Usage()
        meter.close()
        nobody = ProcessMeter(process.pid)
        assert nobody.sample(SECOND) == Usage()
        nobody.close()


def test_rates_are_over_at_least_a_second() -> None:
    meter = RateMeter()
    assert meter.sample(0, 0, 0) == (0, 0)
    assert meter.sample(SECOND // 2, 500, 50_000) == (0, 0)
    assert meter.sample(SECOND, 1_000, 100_000) == (1_000, 100_000)
    assert meter.sample(2 * SECOND, 3_000, 300_000) == (1_500, 150_000)


def test_rates_forget_what_is_older_than_the_window() -> None:
    meter = RateMeter(window_s=2)
    for half in range(20):
        meter.sample(half * SECOND // 2, 100 * half, 0)
    assert meter.sample(10 * SECOND, 100 * 20, 0) == (200, 0)
    for half in range(21, 25):
        rate = meter.sample(half * SECOND // 2, 2_000, 0)
    assert rate == (0, 0)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (b"one\ntwo\n", "two"),
        (b"one\nnot finished", "not finished"),
        (b"Traceback\nValueError: bad\n\n  \n", "ValueError: bad"),
        (b"x" * 10_000 + b"\nlast\n", "last"),
        (b"\x1b[31mred\x1b[0m \xff\n", "␛[31mred␛[0m \\xff"),
    ],
)
def test_the_last_line_of_stderr(tmp_path: Path, written: bytes, shown: str) -> None:
    path = tmp_path / "demo.stderr"
    path.write_bytes(written)
    descriptor = os.open(path, os.O_RDONLY)
    assert last_line(descriptor) == shown
    os.close(descriptor)
    assert last_line(descriptor) == ""
