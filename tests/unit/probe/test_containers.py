from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.probe import containers
from engine.probe.containers import Containers

ID = "0123456789ab" + "c" * 52
OTHER = "fedcba987654" + "d" * 52
SECOND = 1_000_000_000


@dataclass
class Clock:
    """A monotonic clock that moves when told."""

    now: int = 100 * SECOND

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def cgroup(folder: Path, path: str) -> int:
    """Make a cgroup's directory; returns its id."""
    made = folder / path
    made.mkdir(parents=True)
    return made.stat().st_ino


def of_version_2(folder: Path) -> Path:
    """A host with nothing but the version 2 tree."""
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").touch()
    return folder


def process(proc: Path, pid: int, cgroups: str, started_s: float) -> None:
    """A process that started so many seconds after the boot."""
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup").write_text(cgroups)
    ticks = round(started_s * os.sysconf("SC_CLK_TCK"))
    (folder / "stat").write_text(f"{pid} (a) b) S {' '.join(['1'] * 18)} {ticks} 0 0\n")


@pytest.fixture(autouse=True)
def never_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time since boot be the monotonic time, as on a box that was never suspended."""
    monkeypatch.setattr(containers, "_suspended_ns", lambda: 0)


class TestVersion2:
    @pytest.mark.parametrize("name", [ID, f"docker-{ID}.scope", f"libpod-{ID}.scope/container"])
    def test_a_cgroup_is_known_by_its_number(self, tmp_path: Path, clock: Clock, name: str) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        number = cgroup(tree, f"system.slice/{name}")
        found = Containers(str(tree), str(tmp_path), clock)
        assert found.of(number, 7, clock.now) == "0123456789ab"

    def test_processes_of_the_host_are_in_none(self, tmp_path: Path, clock: Clock) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        service = cgroup(tree, "system.slice/nginx.service")
        process(tmp_path, 7, f"0::/docker/{ID}\n", 1)  # a liar: not to be asked
        found = Containers(str(tree), str(tmp_path), clock)
        assert found.of(service, 7, clock.now) is None
        assert found.of(tree.stat().st_ino, 7, clock.now) is None
        assert found.of(999_999_999, 7, clock.now) is None

    def test_a_container_that_has_gone_is_remembered(self, tmp_path: Path, clock: Clock) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        number = cgroup(tree, ID)
        found = Containers(str(tree), str(tmp_path), clock)
        found.of(number, 7, clock.now)
        shutil.rmtree(tree / ID)
        clock.now += 10 * SECOND
        assert found.of(number, 7, clock.now) == "0123456789ab"

    def test_a_new_container_is_found_at_once(self, tmp_path: Path, clock: Clock) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        found = Containers(str(tree), str(tmp_path), clock)
        assert found.of(1, 7, clock.now) is None
        number = cgroup(tree, ID)
        assert found.of(number, 7, clock.now) == "0123456789ab"

    def test_a_cgroup_that_has_gone_is_looked_for_once(
        self, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        found = Containers(str(tree), str(tmp_path), clock)
        looks: list[str] = []
        scandir = os.scandir

        def looked(path: str) -> Iterator[os.DirEntry[str]]:
            looks.append(path)
            return scandir(path)

        monkeypatch.setattr(os, "scandir", looked)
        for _ in range(3):
            assert found.of(4711, 7, clock.now) is None
        assert looks == [str(tree)]

    def test_a_large_tree_keeps_a_reader_only_for_a_while(self, tmp_path: Path) -> None:
        """The clock moves 10 ms at each glance, as if every directory took that long."""
        tree = of_version_2(tmp_path / "cgroup")
        numbers = [cgroup(tree, f"{index}/docker-{ID}.scope") for index in range(50)]
        glances = 0

        def glance() -> int:
            nonlocal glances
            glances += 1
            return glances * SECOND // 100

        found = Containers(str(tree), str(tmp_path), glance)
        assert sum(found.of(number, 7, 0) is not None for number in numbers) < len(numbers)
        for number in numbers:
            for _ in range(1_000):
                if found.of(number, 7, 0):
                    break
        assert {found.of(number, 7, 0) for number in numbers} == {"0123456789ab"}

    def test_threads_may_ask_at_once(self, tmp_path: Path) -> None:
        tree = of_version_2(tmp_path / "cgroup")
        numbers = [cgroup(tree, f"{index}/docker-{ID}.scope") for index in range(200)]
        found = Containers(str(tree), str(tmp_path))
        told: list[str | None] = []
        threads = [
            threading.Thread(target=lambda: told.extend(found.of(n, 7, 0) for n in numbers))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert set(told) <= {"0123456789ab", None}
        assert len(told) == 800


class TestVersion1:
    """Hosts whose containers may be in version 1 trees alone."""

    def containers(self, folder: Path, clock: Clock) -> Containers:
        trees = folder / "cgroup"
        (trees / "memory").mkdir(parents=True)
        return Containers(str(trees), str(folder / "proc"), clock)

    def test_the_process_tells_its_container(self, tmp_path: Path, clock: Clock) -> None:
        found = self.containers(tmp_path, clock)
        process(tmp_path / "proc", 7, f"4:memory:/docker/{ID}\n1:cpu:/\n0::/\n", 50)
        process(tmp_path / "proc", 8, "4:memory:/user.slice\n0::/\n", 50)
        assert found.of(1, 7, 60 * SECOND) == "0123456789ab"
        assert found.of(1, 8, 60 * SECOND) is None

    def test_an_event_before_the_process_began_was_another_process(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        found = self.containers(tmp_path, clock)
        process(tmp_path / "proc", 7, f"4:memory:/docker/{ID}\n", 50)
        assert found.of(1, 7, 40 * SECOND) is None
        assert found.of(1, 7, 51 * SECOND) == "0123456789ab"

    def test_a_pid_that_was_given_anew_is_not_taken_for_the_old_process(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        found = self.containers(tmp_path, clock)
        process(tmp_path / "proc", 7, f"4:memory:/docker/{ID}\n", 50)
        assert found.of(1, 7, 60 * SECOND) == "0123456789ab"
        process(tmp_path / "proc", 7, f"4:memory:/docker/{OTHER}\n", 110)
        clock.now = 120 * SECOND
        assert found.of(1, 7, 115 * SECOND) == "fedcba987654"
        assert found.of(1, 7, 60 * SECOND) is None

    def test_a_process_that_has_ended_answers_for_the_time_it_was_seen_alive(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        found = self.containers(tmp_path, clock)
        process(tmp_path / "proc", 7, f"4:memory:/docker/{ID}\n", 50)
        found.of(1, 7, 60 * SECOND)
        shutil.rmtree(tmp_path / "proc" / "7")
        clock.now = 120 * SECOND
        assert found.of(1, 7, 90 * SECOND) == "0123456789ab"
        assert found.of(1, 7, 110 * SECOND) is None

    def test_beside_a_version_2_tree_the_cgroup_comes_first(
        self, tmp_path: Path, clock: Clock
    ) -> None:
        trees = tmp_path / "cgroup"
        unified = of_version_2(trees / "unified")
        number = cgroup(unified, f"docker-{ID}.scope")
        process(tmp_path / "proc", 7, f"4:memory:/docker/{OTHER}\n", 50)
        found = Containers(str(trees), str(tmp_path / "proc"), clock)
        assert found.of(number, 7, 60 * SECOND) == "0123456789ab"
        assert found.of(unified.stat().st_ino, 7, 60 * SECOND) == "fedcba987654"

    @pytest.mark.parametrize("stat", ["", "7 (a", "7 (a) S 1 1"])
    def test_a_process_that_vanishes_meanwhile_is_in_none(
        self, tmp_path: Path, clock: Clock, stat: str
    ) -> None:
        found = self.containers(tmp_path, clock)
        process(tmp_path / "proc", 7, f"4:memory:/docker/{ID}\n", 50)
        (tmp_path / "proc/7/stat").write_text(stat)
        assert found.of(1, 7, 60 * SECOND) is None
