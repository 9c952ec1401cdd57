"""Times are written and read without loss."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.clock import SystemClock, monotonic_to_wall_offset_ns, parse_rfc3339, rfc3339


@given(st.integers(0, 4_000_000_000_000_000_000))
def test_rfc3339_reads_back(wall_ns: int) -> None:
    assert parse_rfc3339(rfc3339(wall_ns)) == wall_ns


def test_form() -> None:
    assert rfc3339(1_700_000_000_000_000_005) == "2023-11-14T22:13:20.000000005Z"


@pytest.mark.parametrize("text", ["", "2023-11-14", "2023-11-14T22:13:20Z", "x.1Z"])
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any ValueError will do
        parse_rfc3339(text)


def test_the_offset_turns_a_monotonic_stamp_into_wall_time() -> None:
    clock = SystemClock()
    offset = monotonic_to_wall_offset_ns(clock)
    assert abs(clock.monotonic_ns() + offset - clock.wall_ns()) < 1_000_000_000


@pytest.mark.parametrize("offset", [0, 5_000, -1])
def test_in_a_time_namespace_the_clock_is_the_kernel_s(offset: int) -> None:
    program = "from engine.core.clock import SystemClock; print(SystemClock().monotonic_ns())"
    inside = ["unshare", "--time", "--fork", "--monotonic", str(offset)]
    tried = subprocess.run([*inside, "true"], capture_output=True, text=True, timeout=60)
    if tried.returncode:
        pytest.skip(f"no time namespace: {tried.stderr}")
    before = time.monotonic_ns()
    command = [*inside, sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert before < int(done.stdout) < time.monotonic_ns()
