"""Kernel events in two consoles at once, switched by one and seen by both."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine.remote.remote import RemoteEngine
from tests.kernel.kernel_facts import loaded_programs, still_loaded
from tests.unit.remote.processes import attach, lines, running_engine, source
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel
READY_S = 60.0


def test_two_consoles_see_the_same_events_and_nothing_stays_in_the_kernel(tmp_path: Path) -> None:
    path, mouse = tmp_path / "engine.sock", tmp_path / "mouse"
    mouse.write_text("squeak")
    with running_engine(path, rights=[]) as engine, RemoteEngine(path) as console:
        wait_until(lambda: state(console) == "running", READY_S)
        flags = ("--json", "--kind", "kernel_event", "--filter", f"attributes.name == '{mouse}'")
        streams = [attach(path, *flags, "--count", "50") for _ in range(2)]
        for stream in streams:
            assert stream.stdout is not None
            stream.stdout.readline()
        console.switch([("syscall_exit-openat", "file")], True)
        while any(stream.poll() is None for stream in streams):
            subprocess.run(["/bin/cat", mouse], stdout=subprocess.DEVNULL, check=True)
        told = [lines(stream) for stream in streams]
        programs = loaded_programs(engine.pid)
        assert still_loaded(programs) == programs != set()
        console.set_pids(frozenset({os.getpid()}))
        # The streams are gone, so this console's scope is the kernel's.
        wait_until(lambda: quiet(console, mouse))
        engine.send_signal(signal.SIGTERM)
        (stats,) = lines(engine)
    for printed in told:
        assert len(printed) == 51
        assert all(line["attributes"]["name"] == str(mouse) for line in printed[:-1])
        assert source(printed[-1], "attach")["dropped"] == {}
    one, other = ([line["seq"] for line in printed[:-1]] for printed in told)
    assert one == other, "what one is told the other is told as well"
    assert source(stats, "probe")["kept"]
    wait_until(lambda: not still_loaded(programs))


def state(console: RemoteEngine) -> str:
    status = console.snapshot().sources.get("probe")
    return status.state if status is not None else ""


def quiet(console: RemoteEngine, mouse: Path) -> bool:
    """Whether another process opens a file without being told of."""
    console.sync()
    before = console.last_seq("kernel_event")
    subprocess.run(["/bin/cat", mouse], stdout=subprocess.DEVNULL, check=True)
    mouse.read_text()
    wait_until(lambda: console.last_seq("kernel_event") > before)
    batch = console.since("kernel_event", before, 1_000)
    return {record.pid for record in batch.records} == {os.getpid()}
