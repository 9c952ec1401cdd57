"""A plugin process starts as an Elkeid agent starts it, or says why it cannot."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine.agent.process import PluginProcess, start_process
from engine.core.errors import PluginError
from tests.waiting import wait_until

Start = Callable[..., PluginProcess]

# A program that needs no arguments, no environment and no input, and does not end by itself.
YES = Path(shutil.which("yes") or "/usr/bin/yes")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts plugins that are killed in the end."""
    started: list[PluginProcess] = []

    def start_one(executable: Path, detail: str = "", inherit_env: bool = False) -> PluginProcess:
        process = start_process(
            executable,
            name="demo",
            directory=tmp_path / "plugin" / "demo",
            detail=detail,
            pipe_bytes=65_536,
            inherit_env=inherit_env,
        )
        started.append(process)
        return process

    yield start_one
    for process in started:
        if process.pidfd >= 0:
            process.kill_group()
            process.wait(10)
            process.reap()
        process.close()


def script(path: Path, text: str, mode: int = 0o700) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def proc(process: PluginProcess, name: str) -> bytes:
    """A file of /proc/PID; arguments and environment are there a moment after the start."""
    path = Path(f"/proc/{process.pid}/{name}")
    wait_until(path.read_bytes)
    return path.read_bytes()


def environment(process: PluginProcess) -> dict[bytes, bytes]:
    lines = proc(process, "environ").split(b"\0")
    return {name: value for name, _, value in (line.partition(b"=") for line in lines if line)}


def status_field(process: PluginProcess, name: str) -> str:
    lines = proc(process, "status").decode().splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith(f"{name}:"))


def test_its_only_argument_is_its_path(start: Start) -> None:
    assert proc(start(YES), "cmdline") == os.fsencode(YES) + b"\0"


def test_it_has_the_five_descriptors_and_no_other(start: Start, tmp_path: Path) -> None:
    stray = os.open(os.devnull, os.O_RDONLY)
    os.set_inheritable(stray, True)
    try:
        process = start(YES)
    finally:
        os.close(stray)
    fds = Path(f"/proc/{process.pid}/fd")
    # Until it does its work, its own loader has the C library open now and then.
    wait_until(lambda: b"syscw: 0" not in proc(process, "io"))
    links = {int(entry.name): os.readlink(entry) for entry in fds.iterdir()}
    assert sorted(links) == [0, 1, 2, 3, 4]
    assert links[0] == links[1] == os.devnull
    assert links[2] == str(tmp_path / "plugin" / "demo" / "demo.stderr")
    ours = Path("/proc/self/fd")
    assert links[3] == os.readlink(ours / str(process.task_fd))
    assert links[4] == os.readlink(ours / str(process.record_fd))


def test_its_pipe_ends_point_the_right_way_and_block(start: Start) -> None:
    process = start(YES)
    for descriptor, access in ((3, os.O_RDONLY), (4, os.O_WRONLY)):
        info = proc(process, f"fdinfo/{descriptor}").decode()
        flags = int(next(line for line in info.splitlines() if "flags" in line).split()[1], 8)
        assert flags & os.O_ACCMODE == access
        assert not flags & os.O_NONBLOCK
    assert not os.get_blocking(process.task_fd)
    assert not os.get_blocking(process.record_fd)
    assert not os.get_inheritable(process.task_fd)
    assert not os.get_inheritable(process.record_fd)


def test_it_leads_its_own_process_group_in_our_session(start: Start) -> None:
    process = start(YES)
    assert os.getpgid(process.pid) == process.pid
    assert os.getsid(process.pid) == os.getsid(0)


def test_it_runs_in_its_working_directory(start: Start, tmp_path: Path) -> None:
    process = start(YES)
    assert os.readlink(f"/proc/{process.pid}/cwd") == str(tmp_path / "plugin" / "demo")


def test_no_signal_is_blocked_or_ignored(start: Start) -> None:
    process = start(YES)
    assert int(status_field(process, "SigBlk"), 16) == 0
    # SIGPIPE is ignored here, as in every Python process; a plugin must not inherit that.
    assert int(status_field(process, "SigIgn"), 16) == 0


def test_with_a_detail_that_is_its_whole_environment(start: Start) -> None:
    process = start(YES, detail='{"rate": 5, "name": "über"}')
    assert proc(process, "environ") == 'DETAIL={"rate": 5, "name": "über"}\0'.encode()


def test_without_a_detail_it_inherits_ours(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOXSCOPE_TEST", "a b")
    expected = {**os.environb, b"PWD": os.fsencode(tmp_path / "plugin" / "demo")}
    assert environment(start(YES)) == expected
    with_detail = start(YES, detail="tea", inherit_env=True)
    assert environment(with_detail) == {**expected, b"DETAIL": b"tea"}


def test_stderr_is_private_and_empty_at_each_start(start: Start, tmp_path: Path) -> None:
    stderr = tmp_path / "plugin" / "demo" / "demo.stderr"
    stderr.parent.mkdir(parents=True)
    stderr.write_text("from an earlier run")
    stderr.chmod(0o600)
    start(YES)
    assert stderr.read_bytes() == b""
    assert stat.S_IMODE(stderr.stat().st_mode) == 0o600


def test_a_link_in_place_of_stderr_is_not_followed(start: Start, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    directory = tmp_path / "plugin" / "demo"
    directory.mkdir(parents=True)
    (directory / "demo.stderr").symlink_to(victim)
    with pytest.raises(PluginError, match=r"demo\.stderr"):
        start(YES)
    assert victim.read_text() == "precious"


def test_the_exit_code_and_the_signal_come_back(start: Start, tmp_path: Path) -> None:
    leaves = start(script(tmp_path / "leaves", "#!/bin/sh\nexit 7\n"))
    killed = start(YES)
    killed.kill_group()
    for process in (leaves, killed):
        process.wait(10)
    assert (leaves.reap(), killed.reap()) == (7, -9)


def test_one_that_went_into_another_group_is_killed_too(start: Start, tmp_path: Path) -> None:
    moves = "import os, time; os.setpgid(0, os.getpgid(os.getppid())); os.write(4, b'moved')"
    text = f"#!{sys.executable}\n{moves}; time.sleep(60)\n"
    process = start(script(tmp_path / "moves", text))
    wait_until(lambda: process.unread() == len("moved"))
    process.kill_group()
    process.wait(10)
    assert process.reap() == -9


def test_a_pipe_is_crowded_by_what_it_holds_and_by_packets(start: Start) -> None:
    """Its plugin has made it smaller, or writes packets: its size does not tell how full it is."""
    process = start(YES)
    process.close_records()
    process.record_fd, writer = os.pipe2(os.O_NONBLOCK | os.O_DIRECT)
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 8192)
    os.write(writer, b"x" * 10)
    assert not process.crowded(len(os.read(process.record_fd, 4096)))
    for _ in range(2):
        os.write(writer, b"x" * 10)
    assert process.crowded(len(os.read(process.record_fd, 4096)))
    assert process.crowded(4096)
    os.close(writer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "No such file or directory"),
        (lambda path: path.mkdir() or path, "not a file"),
        (lambda path: script(path, "#!/bin/sh\n", 0o600), "it is not executable"),
        (lambda path: script(path, "echo no first line\n"), "exec format error"),
        (lambda path: script(path, ""), "exec format error"),
        (lambda path: script(path, "#!/no/such/python3 -I\n"), "its interpreter /no/such/python3"),
        (lambda path: script(path, "#!\x1b[2J/no\n"), "its interpreter ␛\\[2J/no"),
    ],
    ids=["missing", "directory", "mode", "no #!", "empty", "interpreter", "hostile"],
)  # fmt: skip
def test_says_why_a_file_cannot_start(
    start: Start, tmp_path: Path, make: Callable[[Path], Path], message: str
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(PluginError, match=message) as caught:
        start(make(tmp_path / "broken"))
    assert str(tmp_path / "broken") in caught.value.message
    assert caught.value.fix
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_limit_of_open_files_is_named(start: Start) -> None:
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        with pytest.raises(PluginError, match=rf"^cannot start {YES}: Too many open") as caught:
            start(YES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "ulimit -n" in caught.value.fix


def test_a_program_for_another_machine_is_refused(start: Start, tmp_path: Path) -> None:
    image = bytearray(YES.read_bytes())
    image[18:20] = b"\xff\x7f"  # e_machine of the ELF header
    path = tmp_path / "alien"
    path.write_bytes(image)
    path.chmod(0o700)
    with pytest.raises(PluginError, match="exec format error"):
        start(path)
