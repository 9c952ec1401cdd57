"""A control group for one module: nothing it starts can leave its name or outlive it.

Only the version 2 tree is used, and no controller: the group is there to tell whose a process
is, also in the kernel's events, and to end all of them at once (`cgroup.kill`).
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from engine.core.sanitise import clean

_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")


class Cgroup:
    """One control group; `remove` when nothing runs in it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.stat().st_ino
        """What the kernel calls it in its events."""

    def kill(self) -> None:
        """SIGKILL to every process in it."""
        with suppress(OSError):
            (self.path / "cgroup.kill").write_text("1")

    @property
    def pids(self) -> list[int]:
        """The processes in it."""
        try:
            return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]
        except (OSError, ValueError):
            return []

    def remove(self) -> bool:
        """Take it away; False while there is something in it."""
        try:
            self.path.rmdir()
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True


def make_cgroup(name: str) -> tuple[Cgroup | None, str]:
    """Make a control group below our own; else the reason why there is none."""
    tree = _version_2_mount()
    if tree is None:
        return None, "no version 2 control groups are mounted"
    path = tree / _own_place() / f"boxscope-{os.getpid()}-{name}"
    try:
        path.mkdir(exist_ok=True)
        if not (path / "cgroup.kill").exists():
            path.rmdir()
            return None, "this kernel's control groups cannot be killed (Linux 5.14 is needed)"
        return Cgroup(path), ""
    except OSError as refused:
        return None, f"cannot make a control group: {clean(refused.strerror or str(refused))}"


def _version_2_mount() -> Path | None:
    with suppress(OSError):
        for line in _MOUNTS.read_text().splitlines():
            before, _, after = line.partition(" - ")
            if after.startswith("cgroup2 "):
                place = before.split()[4]
                return Path(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), place))
    return None


def _own_place() -> str:
    with suppress(OSError):
        for line in _OWN.read_text().splitlines():
            if line.startswith("0::/"):
                return line[len("0::/") :].removesuffix(" (deleted)")
    return ""
