"""What counts as a port, as a process, and as a change of one."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.core.identity import read_stat
from engine.discovery.facts import age_s
from engine.discovery.observed import Event, Observed, Scope
from engine.discovery.scanner import Scanner
from tests.unit.discovery.listener import Listener
from tests.values import now
from tests.waiting import wait_until

EVERYTHING = Scope(connections=True, portless=True)
PORTLESS = Scope(portless=True)
CONNECTIONS = Scope(connections=True)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as running:
        yield running


@contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """A forked child that does some work and then waits to be killed; yields its pid."""
    ready, done = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work()
            os.write(done, b".")
            while True:
                signal.pause()
        finally:
            os._exit(1)
    os.close(done)
    try:
        assert os.read(ready, 1) == b"."
        yield child
    finally:
        os.close(ready)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@contextmanager
def running(*command: str | bytes) -> Iterator[int]:
    """A program that reads its stdin to the end; yields its pid once it runs."""
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        wait_until(lambda: not read_stat(child.pid).has_not_exec_ed)
        try:
            yield child.pid
        finally:
            child.kill()


def look(scanner: Scanner, scope: Scope = PORTLESS) -> list[Event[Observed]]:
    """A look, with those that were not ready waited for."""
    events = scanner.look(scope)
    while scanner.retry_s is not None and scanner.retry_s < 1:
        time.sleep(scanner.retry_s)
        events += scanner.look_at_not_ready()
    return events


def changes(events: list[Event[Observed]], pid: int) -> list[str]:
    return [event.change for event in events if event.item.pid == pid]


def listed(scanner: Scanner, pid: int) -> list[int]:
    known = scanner.known.get(pid)
    return [each.port for each in known.ports] if known else []


# One look after another


def test_looks_in_a_row_tell_of_each_change_once(listener: Listener) -> None:
    """As Beyla's polls are tested, but a new port is a change and a closed one too."""
    scanner = Scanner()
    known = listener.open()
    second = listener.fork()
    with Listener() as first:
        http = first.open()
        events = look(scanner)
        assert [changes(events, pid) for pid in (first.pid, second)] == [["created"]] * 2
        assert changes(events, listener.pid) == ["created"]

        listener.end_child(second)
        https = first.open()
        with Listener() as fourth:
            fourth.open()
            events = look(scanner)
            assert changes(events, first.pid) == ["changed"]
            assert listed(scanner, first.pid) == sorted([http, https])
            assert changes(events, second) == ["deleted"]
            assert changes(events, fourth.pid) == ["created"]
            assert changes(events, listener.pid) == []

            second = listener.fork()
            first.close(https)
            first.end()
            events = look(scanner)
            (gone,) = [event for event in events if event.item.pid == first.pid]
            assert gone.change == "deleted"
            assert {each.port for each in gone.item.ports} == {http, https}, "as it was last"
            assert changes(events, second) == ["created"]
            assert listed(scanner, second) == [known]

            with Listener() as portless:
                assert changes(look(scanner), portless.pid) == ["created"]
                pids = {listener.pid, second, fourth.pid, portless.pid}
                assert [event for event in look(scanner) if event.item.pid in pids] == []


# Which sockets are ports


def test_bound_is_not_listening_until_it_listens(listener: Listener) -> None:
    scanner = Scanner()
    port = listener.bind_only()
    worker = listener.fork()
    look(scanner, Scope())
    assert listed(scanner, listener.pid) == []
    listener.listen_bound(port)
    look(scanner, Scope())
    assert listed(scanner, listener.pid) == listed(scanner, worker) == [port]


def test_a_port_that_the_kernel_chose_is_the_real_one(listener: Listener) -> None:
    scanner = Scanner()
    bound_to_0, never_bound = listener.open(port=0), listener.listen_unbound()
    look(scanner, Scope())
    assert listed(scanner, listener.pid) == sorted([bound_to_0, never_bound])
    assert 0 not in listed(scanner, listener.pid)


def test_local_ports_of_connections_count_only_where_they_are_asked_for(
    listener: Listener,
) -> None:
    scanner = Scanner()
    *ends, server = listener.open_clients(3)  # the accepted ends have the port of the listener
    udp = listener.open_connected_udp()
    look(scanner, Scope())
    assert scanner.known[listener.pid].client_ports == ()
    assert listed(scanner, listener.pid) == [server]
    events = look(scanner, CONNECTIONS)
    assert changes(events, listener.pid) == ["changed"]
    known = scanner.known[listener.pid]
    assert {each.port for each in known.client_ports} == {*ends[::2], udp}
    assert listed(scanner, listener.pid) == [server]
    look(scanner, Scope())
    assert scanner.known[listener.pid].client_ports == ()


def test_a_process_with_nothing_but_connections_has_no_row_by_default(
    listener: Listener,
) -> None:
    scanner = Scanner()
    listener.open_connected_udp()
    look(scanner, Scope())
    assert listener.pid not in scanner.known
    look(scanner, CONNECTIONS)
    assert listener.pid in scanner.known


# Which processes there are


def test_processes_without_ports_are_told_of_where_they_are_asked_for(
    listener: Listener,
) -> None:
    scanner = Scanner()
    assert changes(look(scanner, PORTLESS), listener.pid) == ["created"]
    assert changes(look(scanner, PORTLESS), listener.pid) == []
    port = listener.open()
    assert changes(look(scanner, PORTLESS), listener.pid) == ["changed"]
    listener.close(port)
    assert changes(look(scanner, PORTLESS), listener.pid) == ["changed"]
    listener.end()
    assert changes(look(scanner, PORTLESS), listener.pid) == ["deleted"]


def test_looks_that_find_nothing_new_tell_nothing(listener: Listener) -> None:
    """Beyla tells of everything again after polls without a scan for ports."""
    scanner = Scanner()
    listener.open()
    look(scanner, EVERYTHING)
    for _ in range(3):
        assert changes(look(scanner, EVERYTHING), listener.pid) == []


def test_minimum_age_is_for_processes_without_ports() -> None:
    scanner = Scanner(min_process_age_s=3600.0)
    with Listener() as bare, Listener() as serving:
        serving.open()
        scanner.look(PORTLESS)
        scanner.look(PORTLESS)
        assert bare.pid not in scanner.known
        assert scanner.retry_s is not None
        wait_until(lambda: scanner.look(PORTLESS) or serving.pid in scanner.known)
        bare.open()
        look(scanner, PORTLESS)
        assert bare.pid in scanner.known


def test_a_process_is_told_of_once_it_is_old_enough(listener: Listener) -> None:
    scanner = Scanner(min_process_age_s=0.3)
    identity = read_stat(listener.pid).identity
    events: list[Event[Observed]] = []

    def told() -> bool:
        events.extend(scanner.look(PORTLESS))
        return listener.pid in scanner.known

    wait_until(told)
    assert age_s(identity) >= 0.3
    assert changes(events, listener.pid) == ["created"]


# Fork and exec


def test_a_child_between_fork_and_exec_is_not_taken_for_its_parent() -> None:
    """The child is a copy of this test, sockets included, until it execs."""
    cat = os.path.realpath(shutil.which("cat") or "/bin/cat")
    scanner = Scanner()
    look(scanner)
    stopped, go = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as inherited:
        port = inherited.getsockname()[1]
        child = os.fork()
        if child == 0:
            try:
                os.close(go)
                os.read(stopped, 1)
                os.execv(cat, [cat, f"/proc/self/fd/{stopped}"])
            finally:
                os._exit(1)
        os.close(stopped)
        try:
            events = scanner.look(Scope())
            if age_s(read_stat(child).identity) < 0.02:
                assert changes(events, child) == []
                assert scanner.retry_s is not None
            os.write(go, b".")
            wait_until(lambda: not read_stat(child).has_not_exec_ed)
            events += look(scanner, Scope())
            events += look(scanner, Scope())
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(go)
        assert port in listed(scanner, os.getpid())
    assert child not in scanner.known
    assert set(changes(events, child)) <= {"created", "deleted"}
    assert changes(events, child) in ([], ["created", "deleted"])


def test_a_worker_that_never_execs_is_told_of_soon(listener: Listener) -> None:
    scanner = Scanner()
    port = listener.open()
    look(scanner, Scope())
    worker = listener.fork()
    events = scanner.look(Scope())
    deadline = time.monotonic() + 1
    while worker not in scanner.known:
        assert time.monotonic() < deadline
        events += scanner.look_at_not_ready()
    assert changes(events, worker) == ["created"]
    assert listed(scanner, worker) == [port]


def test_exec_of_the_same_program_with_other_arguments_is_a_change(listener: Listener) -> None:
    scanner = Scanner()
    listener.open()
    look(scanner, Scope())
    look(scanner, Scope())
    listener.exec(os.path.realpath(sys.executable))
    wait_until(lambda: changes(look(scanner, Scope()), listener.pid) == ["changed"])
    facts = scanner.known[listener.pid].facts
    assert facts is not None
    assert facts.argv == (os.path.realpath(sys.executable),)


def test_a_process_said_to_have_changed_is_looked_at_at_once(listener: Listener) -> None:
    scanner = Scanner()
    listener.open()
    for _ in range(3):
        look(scanner, Scope())
    cat = os.path.realpath(shutil.which("cat") or "/bin/cat")
    listener.exec(cat)
    wait_until(lambda: Path(f"/proc/{listener.pid}/cmdline").read_text() == f"{cat}\0")
    events = scanner.look(Scope(), frozenset({listener.pid}))
    assert changes(events, listener.pid) == ["changed"]


def test_a_process_said_to_end_is_looked_at_until_it_holds_nothing(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanner = Scanner()
    listener.open()
    worker = listener.fork()
    look(scanner, Scope())
    look(scanner, Scope())
    assert worker in scanner.known
    # As while the kernel still takes its memory away, which comes before its descriptors.
    monkeypatch.setattr("engine.discovery.scanner._is_ending", lambda pid: pid == worker)
    assert changes(scanner.look(Scope(), frozenset({worker})), worker) == []
    assert changes(scanner.look_at_not_ready(), worker) == []
    assert now(scanner.retry_s) is not None
    listener.end_child(worker)
    assert changes(scanner.look_at_not_ready(), worker) == ["deleted"]
    assert scanner.retry_s is None
    assert listener.pid in scanner.known


def test_the_end_of_a_worker_that_is_not_reaped_shows_once_it_is_told(listener: Listener) -> None:
    scanner = Scanner()
    port = listener.open()
    worker = listener.fork()
    look(scanner, Scope())
    look(scanner, Scope())
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: read_stat(worker).state == "Z")
    assert changes(scanner.look(Scope(), frozenset({worker})), worker) == ["deleted"]
    assert listed(scanner, listener.pid) == [port]


def test_a_listener_passed_on_through_exec_belongs_to_the_new_program(
    listener: Listener,
) -> None:
    port = listener.open()
    cat = os.path.realpath(shutil.which("cat") or "/bin/cat")
    listener.exec(cat)
    wait_until(lambda: os.readlink(f"/proc/{listener.pid}/exe") == cat)
    scanner = Scanner()
    look(scanner, Scope())
    assert listed(scanner, listener.pid) == [port]
    facts = scanner.known[listener.pid].facts
    assert facts is not None
    assert facts.exe == cat


def test_an_executable_that_was_deleted_says_so(tmp_path: Path) -> None:
    program = tmp_path / "server"
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with running(str(program)) as pid:
        program.unlink()
        scanner = Scanner()
        look(scanner)
        facts = scanner.known[pid].facts
        assert facts is not None
        assert facts.exe == f"{program} (deleted)"


# Processes that make it hard


def test_a_zombie_is_a_process_without_anything() -> None:
    child = subprocess.Popen(["true"])
    try:
        wait_until(lambda: read_stat(child.pid).state == "Z")
        scanner = Scanner()
        look(scanner)
        facts = scanner.known[child.pid].facts
        assert facts is not None
        assert (facts.exe, facts.argv, facts.language) == (None, (), None)
    finally:
        child.wait()
    assert changes(look(scanner), child.pid) == ["deleted"]


def test_kernel_threads_do_not_disturb() -> None:
    scanner = Scanner()
    look(scanner)
    threads = [pid for pid in scanner.processes.pids if read_stat_flag(pid)]
    if not threads:
        pytest.skip("no kernel threads are visible in this pid namespace")
    for pid in threads[:20]:
        known = scanner.known.get(pid)
        if known and known.facts:
            assert (known.facts.exe, known.facts.argv) == (None, ())
            assert known.ports == ()


def read_stat_flag(pid: int) -> bool:
    try:
        return read_stat(pid).is_kernel_thread
    except Exception:  # it ended
        return False


def test_a_mebibyte_of_arguments_is_cut() -> None:
    arguments = [b"x" * 131_000] * 8
    with running("sh", "-c", "cat; :", *arguments) as pid:
        scanner = Scanner()
        look(scanner)
        facts = scanner.known[pid].facts
        assert facts is not None
        assert 1 << 14 < sum(map(len, facts.argv)) <= 1 << 15
        for _ in range(50):
            assert changes(scanner.look(PORTLESS), pid) == []


def test_a_name_of_escape_sequences_is_taken_as_it_is() -> None:
    name = b"\x1b[31m)\n(\xff "

    def rename() -> None:
        Path("/proc/self/comm").write_bytes(name)

    with forked(rename) as pid:
        scanner = Scanner()
        look(scanner)
        facts = scanner.known[pid].facts
        assert facts is not None
        assert facts.comm == name


@needs_root
def test_a_process_that_may_not_be_looked_into_is_told_of_without_its_secrets() -> None:
    """Scanned by another user than the one it belongs to."""
    with Listener() as hidden:
        port = hidden.open()
        report, answer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups([])
                os.setresuid(65534, 65534, 65534)
                scanner = Scanner()
                scanner.look(PORTLESS)
                scanner.look(PORTLESS)
                facts = scanner.known[hidden.pid].facts
                unowned = [
                    each.port
                    for known in scanner.known.values()
                    if known.pid is None
                    for each in known.ports
                ]
                assert facts is not None
                os.write(answer, f"{facts.exe} {port in unowned}".encode())
            finally:
                os._exit(0)
        os.close(answer)
        os.waitpid(child, 0)
        with os.fdopen(report) as told:
            assert told.read() == "None True"


def test_processes_that_end_while_they_are_read_never_raise() -> None:
    """Some hundred lives of some milliseconds, each with a listener, scanned without pause."""
    script = (
        "import os, socket\n"
        "for _ in range(150):\n"
        "    if os.fork() == 0:\n"
        "        socket.create_server(('127.0.0.1', 0))\n"
        "        os._exit(0)\n"
        "    if _ % 4 == 0:\n"
        "        try:\n"
        "            while True: os.waitpid(-1, 0)\n"
        "        except ChildProcessError: pass\n"
    )
    scanner = Scanner()
    looks = 0
    with subprocess.Popen([sys.executable, "-S", "-E", "-c", script]) as child:
        while child.poll() is None:
            scanner.look(EVERYTHING)
            scanner.look_at_not_ready()
            looks += 1
    assert child.returncode == 0
    assert looks > 3
    look(scanner, EVERYTHING)
    assert child.pid not in scanner.known
