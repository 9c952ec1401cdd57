"""The discovery source: rows that appear, change and vanish as processes do."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import FailedError, ProcessGone, UsageError
from engine.core.identity import read_stat
from engine.core.records import Record
from engine.core.source import Logbook
from engine.discovery import scanner as scanner_module
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.diag_messages import Answer
from engine.discovery.owners import Owners
from engine.discovery.processes import LOOKS_PER_LISTING
from engine.discovery.sockdiag import TABLES, SockDiag, Table
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.listener import Listener
from tests.values import json_of
from tests.waiting import wait_until

CLOCK = SystemClock()
NOT_A_PROTOCOL = Table("sctp", socket.AF_INET, 250, 1 << 10)


def make(*, open_port: str = "", exe: str = "", interval_s: float = 1.0) -> PortWatcher:
    return PortWatcher(CLOCK, Logbook(CLOCK), open_port=open_port, exe=exe, interval_s=interval_s)


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as running:
        yield running


def row_of(rows: tuple[Record, ...], pid: int | None) -> Record | None:
    """The only row of a process."""
    found = [row for row in rows if row.pid == pid]
    assert len(found) <= 1
    return found[0] if found else None


def ports_of(row: Record | None) -> list[int]:
    assert row is not None
    return [port["port"] for port in json_of(row)["ports"]]


class Changes:
    """What the ring says about some processes since the last call."""

    def __init__(self, watcher: PortWatcher, *pids: int) -> None:
        self._ring, self._pids, self._seq = watcher.rings["process"], pids, 0

    def __call__(self) -> list[str]:
        batch = self._ring.since(self._seq)
        self._seq = batch.last_seq
        return [str(each.get("change")) for each in batch.records if each.pid in self._pids]


def test_a_row_tells_about_its_process(listener: Listener) -> None:
    port = listener.open()
    row = row_of(make().scan_once(), listener.pid)
    assert row is not None
    shown = json_of(row)
    assert shown["kind"] == "process"
    assert shown["ports"] == ({"port": port, "proto": "tcp", "address": "127.0.0.1"},)
    assert shown["pid"] == listener.pid
    assert shown["comm"] == Path(sys.executable).name
    assert shown["exe"] == os.path.realpath(sys.executable)
    assert shown["argv"][0] == sys.executable
    assert shown["ppid"] == os.getpid()
    assert shown["start"] == read_stat(listener.pid).identity.start_ticks
    assert shown["language"] == "python"
    assert shown["criterion"] == "any open port"
    assert shown["change"] == "created"
    assert shown["attached"] is False
    assert json.loads(json.dumps(shown))["ports"][0]["port"] == port


def test_rows_appear_change_and_vanish(listener: Listener) -> None:
    watcher = make()
    changes = Changes(watcher, listener.pid)
    assert row_of(watcher.scan_once(), listener.pid) is None
    assert changes() == []

    first = listener.open()
    assert ports_of(row_of(watcher.scan_once(), listener.pid)) == [first]
    assert changes() == ["created"]
    watcher.scan_once()
    assert changes() == []

    second = listener.open("udp4")
    assert ports_of(row_of(watcher.scan_once(), listener.pid)) == sorted([first, second])
    assert changes() == ["changed"]

    listener.close(first)
    assert ports_of(row_of(watcher.scan_once(), listener.pid)) == [second]
    assert changes() == ["changed"]

    listener.close(second)
    assert row_of(watcher.scan_once(), listener.pid) is None
    assert changes() == ["deleted"]

    listener.open()
    watcher.scan_once()
    listener.end()
    assert row_of(watcher.scan_once(), listener.pid) is None
    assert changes() == ["created", "deleted"]


def test_a_port_that_is_closed_and_opened_again_is_no_change(listener: Listener) -> None:
    watcher = make()
    changes = Changes(watcher, listener.pid)
    port = listener.open()
    watcher.scan_once()
    listener.close(port)
    listener.open(port=port)
    assert ports_of(row_of(watcher.scan_once(), listener.pid)) == [port]
    assert changes() == ["created"]


@pytest.mark.parametrize("looks_before", [1, 4])
def test_exec_changes_the_row(listener: Listener, looks_before: int) -> None:
    watcher = make()
    changes = Changes(watcher, listener.pid)
    port = listener.open()
    for _ in range(looks_before):
        watcher.scan_once()
    cat = os.path.realpath(shutil.which("cat") or "/bin/cat")
    listener.exec(cat)
    wait_until(lambda: os.readlink(f"/proc/{listener.pid}/exe") == cat)
    wait_until(lambda: Path(f"/proc/{listener.pid}/cmdline").read_text() == f"{cat}\0")
    row = row_of(watcher.scan_once(), listener.pid)
    assert row is not None
    assert (row.get("exe"), row.comm, row.get("change")) == (cat, "cat", "changed")
    assert ports_of(row) == [port]
    assert changes() == ["created", "changed"]


def test_a_socket_closed_during_the_scan_leaves_no_row(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listener.open()
    resolve = Owners.resolve

    def resolve_late(
        self: Owners, wanted: AbstractSet[int], *, again: bool = False
    ) -> Mapping[int, Sequence[int]]:
        listener.close(port)
        return resolve(self, wanted, again=again)

    monkeypatch.setattr(Owners, "resolve", resolve_late)
    assert port not in [each for row in make().scan_once() for each in ports_of(row)]


def test_every_owner_of_a_socket_has_a_row(listener: Listener) -> None:
    watcher = make()
    port = listener.open()
    child = listener.fork()
    rows = watcher.scan_once()
    assert ports_of(row_of(rows, listener.pid)) == ports_of(row_of(rows, child)) == [port]
    listener.end_child(child)
    rows = watcher.scan_once()
    assert row_of(rows, child) is None
    assert ports_of(row_of(rows, listener.pid)) == [port]


def test_a_reused_pid_is_another_process(listener: Listener) -> None:
    watcher = make()
    listener.open()
    child = listener.fork()
    changes = Changes(watcher, child)
    for _ in range(3):
        watcher.scan_once()
    start = read_stat(child).identity.start_ticks
    listener.end_child(child)
    ticks = os.sysconf("SC_CLK_TCK")
    wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * ticks > start + 1)
    refused = listener.respawn(child)
    if refused:
        pytest.skip(f"clone3 with a chosen pid: {os.strerror(refused)}")
    for _ in range(LOOKS_PER_LISTING):  # it chose its pid itself
        row = row_of(watcher.scan_once(), child)
    assert row is not None
    assert row.get("start") != start
    assert changes() == ["created", "deleted", "created"]


def test_sockets_on_one_address_are_one_port(listener: Listener) -> None:
    port = listener.open(reuse=True)
    listener.open(port=port, reuse=True)
    assert ports_of(row_of(make().scan_once(), listener.pid)) == [port]


def test_rows_are_sorted_by_lowest_port(listener: Listener) -> None:
    ports = sorted(listener.open() for _ in range(3))
    with Listener() as other:
        other.open()
        rows = make().scan_once()
    assert ports_of(row_of(rows, listener.pid)) == ports
    lowest = [ports_of(row)[0] for row in rows]
    assert lowest == sorted(lowest)


def test_a_port_condition_selects_processes_not_ports(listener: Listener) -> None:
    wanted, other = listener.open(), listener.open()
    with Listener() as stranger:
        stranger.open()
        watcher = make(open_port=f"1,{wanted}-{wanted}")
        rows = watcher.scan_once()
        row = row_of(rows, listener.pid)
        assert ports_of(row) == sorted([wanted, other])
        assert row is not None
        assert row.get("criterion") == f"open_port 1,{wanted}-{wanted}"
        assert row_of(rows, stranger.pid) is None
    counters = watcher.status().counters
    assert (counters.seen, counters.dropped) == (counters.kept, {})


def test_an_exe_condition_is_anded(listener: Listener) -> None:
    port = listener.open()
    exe = os.path.realpath(sys.executable)
    assert row_of(make(exe="*/python*").scan_once(), listener.pid)
    assert row_of(make(exe=exe, open_port=str(port)).scan_once(), listener.pid)
    assert not row_of(make(exe="*/nginx", open_port=str(port)).scan_once(), listener.pid)
    assert not row_of(make(exe=exe, open_port="1").scan_once(), listener.pid)


def test_new_ports_are_applied_to_what_is_known(listener: Listener) -> None:
    watcher = make()
    changes = Changes(watcher, listener.pid)
    port = listener.open()
    watcher.scan_once()
    watcher.set_ports("1")
    assert row_of(watcher.scan_once(), listener.pid) is None
    assert changes() == ["created", "deleted"]
    watcher.set_ports(str(port))
    assert row_of(watcher.scan_once(), listener.pid)
    assert changes() == ["created"]
    with pytest.raises(UsageError, match="invalid int enum"):
        watcher.set_ports("http")
    assert row_of(watcher.scan_once(), listener.pid)
    watcher.set_ports("  ")
    row = row_of(watcher.scan_once(), listener.pid)
    assert row is not None
    assert row.get("criterion") == "any open port"
    assert changes() == ["changed"]


def test_children_come_and_go_with_the_selection_of_their_parent(listener: Listener) -> None:
    listener.open()
    child = listener.fork()
    with socket.socket() as spare:
        spare.bind(("127.0.0.1", 0))
        wanted = spare.getsockname()[1]
    config = load_config(None, {"BEYLA_OPEN_PORT": str(wanted)})
    watcher = PortWatcher(CLOCK, Logbook(CLOCK), config=config)
    changes = Changes(watcher, listener.pid, child)
    watcher.scan_once()
    assert changes() == []

    listener.open(port=wanted)
    row = row_of(watcher.scan_once(), child)
    assert row is not None
    assert row.get("verdict") == "inherited"
    assert row.get("criterion") == f"open_port {wanted}, inherited from {listener.pid}"
    assert changes() == ["created", "created"]

    listener.close(wanted)
    assert row_of(watcher.scan_once(), child) is None
    assert changes() == ["deleted", "deleted"]


def test_everything_can_be_listed_with_its_verdict(listener: Listener) -> None:
    port = listener.open()
    config = load_config(None, {"BEYLA_OPEN_PORT": "1"})
    watcher = PortWatcher(CLOCK, Logbook(CLOCK), config=config, show_all=True)
    row = row_of(watcher.scan_once(), listener.pid)
    assert (row and row.get("verdict"), row and row.get("criterion")) == ("not selected", None)
    assert ports_of(row) == [port]
    watcher.set_ports(str(port))
    row = row_of(watcher.scan_once(), listener.pid)
    assert (row and row.get("verdict"), row and row.get("change")) == ("selected", "changed")
    assert watcher.explain(listener.pid).decision.reason == f"open_port {port}"


@pytest.fixture
def idle() -> Iterator[subprocess.Popen[bytes]]:
    """A process without any port, by a name nobody else has."""
    with subprocess.Popen(["sh", "-c", "read nothing # idle"], stdin=subprocess.PIPE) as process:
        yield process


def watcher_of(text: str, *, show_all: bool = False) -> PortWatcher:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "beyla.yaml"
        path.write_text(text)
        config = load_config(path, {})
    return PortWatcher(CLOCK, Logbook(CLOCK), config=config, show_all=show_all)


def test_a_selected_process_without_a_port_has_a_row_behind_the_others(
    listener: Listener, idle: subprocess.Popen[bytes]
) -> None:
    listener.open()
    text = "{min_process_age: 0s, instrument: [{cmd_args: '*idle'}, {open_ports: 1-65535}]}"
    watcher = watcher_of(f"discovery: {text}")
    rows = watcher.scan_once()
    row = row_of(rows, idle.pid)
    assert row is not None
    assert (row.get("verdict"), row.get("criterion")) == ("selected", "args *idle")
    assert ports_of(row) == []
    pids = [each.pid for each in rows]
    assert pids.index(listener.pid) < pids.index(idle.pid)
    changes = Changes(watcher, idle.pid)
    changes()
    idle.communicate()
    assert row_of(watcher.scan_once(), idle.pid) is None
    assert changes() == ["deleted"]


def test_everything_is_listed_without_ports_too(
    idle: subprocess.Popen[bytes],
) -> None:
    config = DiscoveryConfig().with_selectors(open_port="1")
    rows = PortWatcher(CLOCK, Logbook(CLOCK), config=config, show_all=True).scan_once()
    row = row_of(rows, idle.pid)
    assert row is not None
    assert (row.get("verdict"), row.get("criterion")) == ("not selected", None)
    assert row_of(make().scan_once(), idle.pid) is None


def test_kernel_threads_and_zombies_are_not_listed() -> None:
    with subprocess.Popen(["true"]) as zombie:
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        rows = PortWatcher(CLOCK, Logbook(CLOCK), show_all=True).scan_once()
        listed = {each.pid for each in rows}
    assert os.getpid() in listed
    assert zombie.pid not in listed
    assert not any(is_kernel_thread(pid) for pid in listed)


def is_kernel_thread(pid: int | None) -> bool:
    try:
        return pid is not None and read_stat(pid).is_kernel_thread
    except ProcessGone:
        return False


def test_what_is_surveyed_is_listed_and_never_attached(listener: Listener) -> None:
    port = listener.open()
    row = row_of(
        watcher_of(f"discovery: {{survey: [{{open_ports: {port}}}]}}").scan_once(), listener.pid
    )
    assert row is not None
    assert (row.get("verdict"), row.get("attached")) == ("surveyed", False)
    assert row.get("criterion") == f"survey: open_port {port}"


def test_the_interval_of_beylas_file_counts() -> None:
    assert watcher_of("discovery: {poll_interval: 30s}")._interval_s == 30
    assert watcher_of("open_port: 80")._interval_s == 1
    faithful = PortWatcher(CLOCK, Logbook(CLOCK), config=DiscoveryConfig(faithful=True))
    assert faithful._interval_s == 5


def test_entries_that_cover_no_port_are_warned_about() -> None:
    logbook = Logbook(CLOCK)
    faithful = DiscoveryConfig(faithful=True)
    PortWatcher(CLOCK, logbook, open_port="80,8999-8000", config=faithful)
    assert [each.get("text") for each in logbook.ring.since(0).records] == [
        "--open-port matches in part: open_ports 8999-8000 covers no port a socket can have, "
        "which Beyla does not mind"
    ]


@pytest.mark.parametrize(("open_port", "exe"), [("1a", ""), ("99999", ""), ("", "[a")])
def test_malformed_conditions_are_refused(open_port: str, exe: str) -> None:
    with pytest.raises(UsageError):
        make(open_port=open_port, exe=exe)


def test_counters_balance_and_nothing_is_dropped(listener: Listener) -> None:
    watcher = make()
    for _ in range(3):
        listener.open()
        watcher.scan_once()
    counters = watcher.status().counters
    assert counters.seen == counters.kept >= 1 + 2 + 3
    assert counters.dropped == {}
    assert counters.lag_ms > 0


def test_the_thread_scans_wakes_and_stops_at_once(listener: Listener) -> None:
    """With an hour between scans, every change comes from a wake-up."""
    watcher = make(interval_s=3600.0)

    def listed() -> bool:
        return row_of(watcher.tables()["process"], listener.pid) is not None

    port = listener.open()
    assert watcher.status().state == "off"
    watcher.start()
    try:
        watcher.start()
        assert [each.name for each in threading.enumerate()].count("discovery") == 1
        wait_until(listed)
        wait_until(lambda: watcher.status().state in ("running", "degraded"))
        watcher.set_ports("1")
        wait_until(lambda: not listed())
        watcher.set_ports(str(port))
        wait_until(listed)
    finally:
        before = time.monotonic()
        watcher.stop()
    assert time.monotonic() - before < 1.0
    watcher.stop()
    assert watcher.status().state == "off"
    assert "discovery" not in [each.name for each in threading.enumerate()]
    assert listed()


def test_the_thread_scans_each_interval(listener: Listener) -> None:
    watcher = make(interval_s=0.01)
    watcher.start()
    try:
        port = listener.open()
        wait_until(lambda: row_of(watcher.tables()["process"], listener.pid))
        listener.close(port)
        wait_until(lambda: not row_of(watcher.tables()["process"], listener.pid))
    finally:
        watcher.stop()


def test_it_starts_again_after_a_stop() -> None:
    watcher = make(interval_s=3600.0)
    for _ in range(2):
        seen = watcher.status().counters.seen
        with socket.create_server(("127.0.0.1", 0)):
            watcher.start()
            try:
                wait_seen(watcher, seen)
            finally:
                watcher.stop()


def wait_seen(watcher: PortWatcher, before: int) -> None:
    """Wait until it has seen more than before."""
    wait_until(lambda: watcher.status().counters.seen > before)


def refuse(table: Table) -> Callable[[SockDiag, Table], Answer]:
    """A `dump` that fails for one table, by asking the kernel for what it does not have."""
    dump = SockDiag.dump

    def refusing(self: SockDiag, asked: Table) -> Answer:
        return dump(self, NOT_A_PROTOCOL if asked == table else asked)

    return refusing


def test_a_table_that_fails_keeps_its_rows_and_degrades(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = make()
    listener.open()
    watcher.scan_once()
    with monkeypatch.context() as patched:
        patched.setattr(SockDiag, "dump", refuse(TABLES[0]))
        assert row_of(watcher.scan_once(), listener.pid)
        status = watcher.status()
        assert status.state == "degraded"
        assert status.reason.startswith("sctp over IPv4 cannot be listed")
        assert status.fix == "modprobe sctp_diag"
        assert status.counters.dropped.keys() == {"dump_error"}, "one for each network namespace"
        assert status.counters.balanced
    watcher.scan_once()
    assert "sctp" not in watcher.status().reason


def test_it_has_failed_if_every_table_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner_module, "TABLES", (NOT_A_PROTOCOL,))
    watcher = make()
    assert watcher.scan_once() == ()
    assert watcher.status().state == "failed"


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    """No file can be opened in this test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.fault("descriptors exhausted")
@pytest.mark.usefixtures("no_descriptors")
def test_want_of_descriptors_is_an_error_not_a_traceback() -> None:
    watcher = make(interval_s=3600.0)
    with pytest.raises(FailedError, match=r"^/proc cannot be read: Too many open files$"):
        watcher.scan_once()
    watcher.start()
    try:
        wait_until(lambda: watcher.status().state == "failed")
        assert watcher.status().reason == "/proc cannot be read: Too many open files"
    finally:
        watcher.stop()
    assert watcher.status().counters.balanced


def test_names_from_outside_are_sanitised(tmp_path: Path) -> None:
    program = tmp_path / "py\x1b[31m\u202e"
    program.symlink_to(sys.executable)
    script = "import socket; s = socket.create_server(('127.0.0.1', 0)); print(flush=True); input()"
    command = [str(program), "-S", "-E", "-c", script, "\x1b]0;title\x07"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            row = row_of(make().scan_once(), child.pid)
        finally:
            child.kill()
    assert row is not None
    shown = json.dumps(row.as_json(), ensure_ascii=False)
    assert "title" in shown
    assert not {"\x1b", "\x07", "\u202e", "\\u001b"} & set(shown)
    assert "\\u001b" not in shown


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have what another user may not see")
def test_an_unprivileged_user_sees_ports_without_their_process(listener: Listener) -> None:
    port = listener.open()
    run = subprocess.run(
        [sys.executable, "-m", "tests.unit.discovery.unprivileged"],
        stdout=subprocess.PIPE,
        check=True,
        timeout=60,
    )
    seen = json.loads(run.stdout)
    (unowned,) = [row for row in seen["rows"] if "pid" not in row]
    assert "comm" not in unowned
    assert {"port": port, "proto": "tcp", "address": "127.0.0.1"} in unowned["ports"]
    assert "root" in unowned["user"].split(", ")
    (own,) = [row for row in seen["rows"] if seen["port"] in [p["port"] for p in row["ports"]]]
    assert own["pid"] > 0
    assert own["language"] == "python"
    assert seen["state"] == "degraded"
    assert "listed without a process" in seen["reason"]
    assert seen["fix"] == (
        "run as root, or with CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYS_ADMIN"
    )
    assert (seen["dropped"], seen["balanced"]) == ({}, True)
