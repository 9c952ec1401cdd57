"""What a process uses, rates, and how much room its directory takes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from engine.agent import metrics
from engine.agent.metrics import (
    ProcessMeter,
    RateMeter,
    Reading,
    Speeds,
    Usage,
    directory_size,
    speeds_between,
)

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
        assert first.speeds == Speeds()
        assert second.speeds.cpu == pytest.approx(sum(other.cpu_times()[:2]), abs=0.1)
        assert (second.speeds.cpu or 0) > 0.2
        reading = second.reading
        assert reading is not None
        assert reading.rss == pytest.approx(other.memory_info().rss, rel=0.2)
        assert reading.fds == other.num_fds()
        assert reading.comm == other.name()
        assert reading.pgid == os.getpgid(process.pid)
        assert reading.started == pytest.approx(other.create_time(), abs=1)
        io = other.io_counters()
        assert (reading.read_bytes, reading.write_bytes) == (io.read_bytes, io.write_bytes)
        meter.close()
        meter.close()


def test_speeds_are_differences_over_the_time_between() -> None:
    before = Reading(0, "x", 1, 1.0, 0, 0, 0, 1_000, None)
    after = Reading(2 * SECOND, "x", 1, 1.5, 0, 0, 0, 5_000, 7)
    assert speeds_between(before, after) == Speeds(0.25, 2_000, None)
    assert speeds_between(before, before) == Speeds()


def test_a_process_whose_io_is_hidden_has_no_storage_speeds() -> None:
    with child("input()") as process:
        meter = ProcessMeter(process.pid)
        os.close(meter._io)
        meter._io = -1
        reading = meter.read(0)
        assert reading is not None
        assert (reading.read_bytes, reading.write_bytes) == (None, None)
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


def test_a_directory_is_the_sum_of_its_files(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(bytes(1_000))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "two").write_bytes(bytes(24))
    link = tmp_path / "below" / "link"
    link.symlink_to("/usr")
    assert directory_size(tmp_path) == 1_024 + link.lstat().st_size
    assert directory_size(tmp_path / "missing") == 0


def test_a_directory_with_too_many_files_is_not_added_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        (tmp_path / str(number)).write_text("x")
    monkeypatch.setattr(metrics, "MAX_DIRECTORY_ENTRIES", 3)
    assert directory_size(tmp_path) is None
    monkeypatch.setattr(metrics, "MAX_DIRECTORY_ENTRIES", 4)
    assert directory_size(tmp_path) == 4
    assert directory_size(tmp_path, lambda: True) is None
