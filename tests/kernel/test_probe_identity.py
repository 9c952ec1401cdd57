"""Who an event names, against who really did it: inside namespaces, threads and containers."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.actor import Actor
from tests.kernel.conftest import Watch

pytestmark = pytest.mark.kernel

SCRIPT = Path(__file__).with_name("descriptors_process.py")
NOBODY, NOGROUP = 65534, 65533
TREES = (Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
SECLUDED = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOGROUP}", "--clear-groups"),
    *("unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"),
    *("/bin/sh", "-c", 'echo $$ $(id -u) $(id -g); read path; read line < "$path"; echo; read end'),
]
"""A shell in namespaces of its own, where it is process 1 and root; it reads a file when told."""


@pytest.fixture
def holder() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


def child_of(parent: int) -> int:
    """The only child of a process."""
    children = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(stat.rpartition(")")[2].split()[1]) == parent:
                children.append(int(entry.name))
    (child,) = children
    return child


def test_ids_are_those_of_the_box_inside_of_namespaces(watch: Watch) -> None:
    with subprocess.Popen(SECLUDED, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as outer:
        assert outer.stdin is not None
        assert outer.stdout is not None
        inside = [int(word) for word in outer.stdout.readline().split()]
        assert inside == [1, 0, 0]
        shell = child_of(outer.pid)
        watch.probe.set_pids(frozenset({shell}))
        watch.subscribe("syscall_exit-openat")
        outer.stdin.write(b"/etc/passwd\n")
        outer.stdin.flush()
        outer.stdout.readline()
        (record,) = watch.records(fd_name="/etc/passwd")
        assert (record.pid, record.get("tid"), record.comm) == (shell, shell, "sh")
        assert (record.get("uid"), record.get("gid")) == (NOBODY, NOGROUP)
        outer.stdin.close()


def test_an_event_has_the_id_and_the_name_of_its_thread(
    watch: Watch, holder: Actor, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.touch()
    watch.probe.set_pids(frozenset({holder.pid}))
    watch.subscribe("syscall_exit-openat")
    tid = holder.do("open_in_thread", "worker-7", str(path))
    (record,) = watch.records(fd_name=str(path))
    assert (record.pid, record.get("tid"), record.comm) == (holder.pid, tid, "worker-7")
    assert (record.get("uid"), record.get("gid")) == (os.getuid(), os.getgid())


@contextmanager
def cgroup_of(tree: Path, container: str) -> Iterator[Path]:
    """A cgroup named as Docker names a container's; its processes go back when it ends."""
    outside = tree / Path("/proc/self/cgroup").read_text().rpartition("0::")[2].strip().lstrip("/")
    folder = outside / f"docker-{container}.scope"
    folder.mkdir()
    try:
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (outside / "cgroup.procs").write_text(pid)
        folder.rmdir()


def test_the_container_is_that_of_the_moment(watch: Watch, holder: Actor, tmp_path: Path) -> None:
    tree = next((each for each in TREES if (each / "cgroup.procs").exists()), None)
    if tree is None or not os.access(tree, os.W_OK):
        pytest.skip("no cgroup version 2 tree that can be written to")
    container = uuid.uuid4().hex * 2
    watch.probe.set_pids(frozenset({holder.pid}))
    watch.subscribe("syscall_exit-openat")
    paths = [str(tmp_path / name) for name in ("before", "inside", "after")]
    with cgroup_of(tree, container) as folder:
        holder.do("opened", paths[0])
        (folder / "cgroup.procs").write_text(str(holder.pid))
        holder.do("opened", paths[1])
        (folder.parent / "cgroup.procs").write_text(str(holder.pid))
        holder.do("opened", paths[2])
        told = {record.get("fd_name"): record.get("container_id") for record in watch.records()}
    assert [told[path] for path in paths] == [None, container[:12], None]
