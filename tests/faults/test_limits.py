"""There is not enough of something: descriptors, disk, memory, or the right to look."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from engine.core.errors import BoxscopeError
from engine.live import LiveEngine
from engine.selection import Selection
from tests.faults.support import (
    DEADLINE_S,
    FLOOD,
    descendants,
    number,
    plugin_row,
    program,
    running_engine,
    wait_gone,
    wait_sent,
)
from tests.ledgers import Ledger
from tests.unit.agent.support import PATIENT, write_plugin
from tests.waiting import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces and groups need root")
IN_OWN_MOUNTS = ("unshare", "--mount", "--propagation", "private")
MEMORY = Path("/sys/fs/cgroup/memory")
ENOUGH, MARGIN = 256 << 20, 8 << 20
FLOODED = (
    *("-m", "tui.cli", "plugins", "run", str(FLOOD), "--json"),
    *("--detail", '{"rate": 10000, "size": 8192}'),
)


@pytest.mark.fault("descriptors exhausted")
def test_without_descriptors_what_runs_goes_on_and_what_cannot_says_so(
    ledger: Ledger, tmp_path: Path
) -> None:
    patient = write_plugin(tmp_path, "patient", PATIENT)
    with running_engine(Selection(agent=True, discovery=True)) as engine:
        engine.load_plugin(FLOOD, detail='{"rate": 1000}')
        wait_sent(engine, "flood")
        for turn in range(3 * ledger.budget):
            name, sent = f"patient-{turn}", number(plugin_row(engine, "flood"), "tx_count")
            scanned = engine.snapshot().sources["discovery"].counters.seen
            with few_descriptors():
                ledger.inject()
                with pytest.raises(BoxscopeError, match="Too many open files"):
                    engine.load_plugin(patient, name=name)
                wait_sent(engine, "flood", sent)
                ledger.survive(engine.snapshot())
            engine.load_plugin(patient, name=name)
            wait_sent(engine, name)
            wait_scanned(engine, scanned)


def wait_scanned(engine: LiveEngine, before: int) -> None:
    """Wait until discovery has seen more than before, and has not failed."""
    wait_until(
        lambda: (
            engine.snapshot().sources["discovery"].counters.seen > before
            and engine.snapshot().sources["discovery"].state != "failed"
        ),
        DEADLINE_S,
    )


@contextmanager
def few_descriptors() -> Iterator[None]:
    """No more descriptors than there are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
    filled = []
    try:
        with suppress(OSError):
            while True:
                filled.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for descriptor in filled:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@needs_root
@pytest.mark.fault("disk full while recording")
def test_a_full_disk_costs_what_the_counters_say(ledger: Ledger, tmp_path: Path) -> None:
    with program("-m", "tests.faults.full_disk", str(tmp_path), wrapper=IN_OWN_MOUNTS) as child:
        ledger.inject(2)
        out, err = child.communicate(timeout=2 * DEADLINE_S)
    assert child.returncode == 0, err
    first, second = json.loads(out)
    for told in (first, second):
        assert "full" in told["reason"]
        assert told["kept"] == told["rows"] > 0
        ledger.lose(abs(told["seen"] - told["kept"] - sum(told["dropped"].values())))
    assert first["dropped"] == {}
    assert second["dropped"].keys() == {"not_written"}
    ledger.survive(number=2)


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
@pytest.mark.fault("/proc hidden from others")
def test_where_proc_is_hidden_ports_are_told_without_their_processes(ledger: Ledger) -> None:
    hide = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" "$@"'
    wrapper = (*IN_OWN_MOUNTS, "sh", "-c", hide)
    ledger.inject()
    with socket.create_server(("127.0.0.1", 0)) as hidden:
        port = hidden.getsockname()[1]
        with program("-m", "tests.unit.discovery.unprivileged", wrapper=wrapper) as child:
            out, err = child.communicate(timeout=DEADLINE_S)
    assert (child.returncode, err) == (0, "")
    told = json.loads(out)
    own, other = (
        [row for row in told["rows"] if wanted in [each["port"] for each in row["ports"]]]
        for wanted in (told["port"], port)
    )
    assert [row["pid"] > 0 for row in own] == [True]
    assert ["pid" in row for row in other] == [False]
    assert told["balanced"]
    assert told["state"] == "degraded"
    ledger.survive()


@needs_root
@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare")
@pytest.mark.fault("/proc not mounted")
def test_without_proc_every_command_says_what_to_mount(ledger: Ledger) -> None:
    cover = 'mount -t tmpfs none /proc && exec "$0" "$@"'
    wrapper = (*IN_OWN_MOUNTS, "sh", "-c", cover)
    for verb in (["doctor"], ["discover", "--once"]):
        ledger.inject()
        with program("-m", "tui.cli", *verb, wrapper=wrapper) as child:
            out, err = child.communicate(timeout=DEADLINE_S)
        assert (child.returncode, out) == (3, "")
        assert err == "boxscope: /proc is not mounted\n  mount -t proc proc /proc\n"
        ledger.survive()


@needs_root
@pytest.mark.skipif(not (MEMORY / "cgroup.procs").exists(), reason="no version 1 memory group")
@pytest.mark.fault("memory limit of a control group")
def test_the_stores_stay_within_a_limit_and_beyond_it_nothing_is_left(
    ledger: Ledger,
) -> None:
    group = MEMORY / f"boxscope-test-{os.getpid()}"
    group.mkdir()
    limit = group / "memory.limit_in_bytes"
    try:
        ledger.inject()
        limit.write_text(str(ENOUGH))
        with program(*FLOODED, "--for", "3", wrapper=inside(group)) as engine:
            out, err = engine.communicate(timeout=DEADLINE_S)
        assert engine.returncode == 0, err
        source = json.loads(out.splitlines()[-1])["sources"]["agent"]
        ledger.lose(abs(source["seen"] - source["kept"] - sum(source["dropped"].values())))
        ledger.survive()
        ledger.inject()
        with program(*FLOODED, "--for", "600", wrapper=inside(group)) as engine:
            assert engine.stdout is not None
            assert engine.stdout.readline()
            wait_until(lambda: descendants(engine.pid), DEADLINE_S)
            family = descendants(engine.pid)
            (group / "memory.force_empty").write_text("0")
            limit.write_text(str(int((group / "memory.usage_in_bytes").read_text()) + MARGIN))
            assert engine.wait(DEADLINE_S) == -signal.SIGKILL
        wait_gone(family)
        ledger.survive()
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), DEADLINE_S)
        group.rmdir()


def inside(group: Path) -> tuple[str, ...]:
    """What starts a program in a control group."""
    return ("sh", "-c", f'echo $$ >{group}/cgroup.procs && exec "$0" "$@"')
