"""`boxscope discover --once --all --json` agrees with `ss -lntup` on a zoo of processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.discovery.inside import listener_inside, namespace_of, needs_namespaces
from tests.unit.discovery.listener import Listener
from tests.unit.discovery.test_agreement import LINE
from tests.waiting import wait_until

Seen = set[tuple[int, str, int, str, int]]
"""Network namespace, protocol, port, address and pid."""

OWN = namespace_of(os.getpid())
CLIENTS = 300

pytestmark = [
    pytest.mark.skipif(shutil.which("ss") is None, reason="no ss on this box"),
    pytest.mark.skipif(shutil.which("nsenter") is None, reason="no nsenter on this box"),
    pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this box"),
    needs_namespaces,
]


@dataclass
class Zoo:
    """The animals, by what is special about them: their pids."""

    pids: dict[str, list[int]] = field(default_factory=dict)
    inner: int = 0
    """The namespace of the one that lives elsewhere."""
    clients: set[int] = field(default_factory=set)
    """Ephemeral ports of connections, which are no listeners."""

    def everyone(self) -> set[int]:
        return {pid for pids in self.pids.values() for pid in pids}


@pytest.fixture
def zoo(tmp_path: Path) -> Iterator[Zoo]:
    with ExitStack() as stack:
        yield build_zoo(stack, tmp_path)


def build_zoo(stack: ExitStack, directory: Path) -> Zoo:
    zoo = Zoo()

    def animal(what: str) -> Listener:
        made = stack.enter_context(Listener())
        zoo.pids[what] = [made.pid]
        return made

    forked = animal("forked workers sharing a listener")
    forked.open()
    zoo.pids["forked workers sharing a listener"] += [forked.fork() for _ in range(3)]
    first, second = animal("reuseport, first"), animal("reuseport, second")
    second.open(port=first.open(reuse=True), reuse=True)
    for kind in ("v6only", "dual", "tcp6", "mapped", "udp4", "udp6"):
        animal(kind).open(kind)
    animal("on one interface").open(device="lo")
    animal("never bound").listen_unbound()
    animal("no port").bind_only()
    animal("no socket of the internet")
    through_exec = animal("inherited through exec")
    through_exec.open()
    through_exec.exec("/bin/cat")
    cat = os.path.realpath("/bin/cat")
    wait_until(lambda: os.readlink(f"/proc/{through_exec.pid}/exe") == cat)
    crowd = animal(f"{CLIENTS} clients")
    *ends, _ = crowd.open_clients(CLIENTS)
    zoo.clients = set(ends[::2])
    build_deleted(stack, directory, zoo)
    inside = stack.enter_context(listener_inside())
    zoo.pids["in another namespace"] = [inside.pid]
    zoo.inner = namespace_of(inside.pid)
    inside.open()
    inside.open("udp6")
    inside.open("dual")
    return zoo


def build_deleted(stack: ExitStack, directory: Path, zoo: Zoo) -> None:
    """A server whose executable is gone."""
    program = directory / "server"
    shutil.copy(os.path.realpath(sys.executable), program)
    made = stack.enter_context(Listener(program=str(program), home=sys.base_prefix))
    made.open()
    program.unlink()
    zoo.pids["deleted executable"] = [made.pid]


def by_ss(zoo: Zoo) -> Seen:
    """What `ss -lntup` lists in both namespaces of the animals."""
    return by_ss_in(OWN, [], zoo) | by_ss_in(
        zoo.inner, ["nsenter", f"--net=/proc/{zoo.pids['in another namespace'][0]}/ns/net"], zoo
    )


def by_ss_in(netns: int, enter: list[str], zoo: Zoo) -> Seen:
    seen: Seen = set()
    listed = subprocess.check_output([*enter, "ss", "-Hlntup"], text=True)
    for line in filter(None, LINE.split(listed.strip())):
        proto, _, _, _, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        for pid in re.findall(r"pid=(\d+)", line):
            seen.add((netns, proto, int(port), re.sub(r"[\[\]]", "", address), int(pid)))
    return {each for each in seen if each[4] in zoo.everyone()}


def discover() -> list[dict[str, Any]]:
    """The rows the command prints."""
    run = subprocess.run(
        [sys.executable, "-m", "tui.cli", "discover", "--once", "--all", "--json"],
        stdout=subprocess.PIPE,
        check=True,
    )
    lines = [json.loads(line) for line in run.stdout.splitlines()]
    return [line for line in lines if line["kind"] == "process"]


def test_discover_agrees_with_ss(zoo: Zoo) -> None:
    theirs, rows, again = by_ss(zoo), discover(), by_ss(zoo)
    assert theirs == again, "the zoo does not change"
    ours: Seen = {
        (port.get("netns", row["netns"]), port["proto"], port["port"], port["address"], row["pid"])
        for row in rows
        if row.get("pid") in zoo.everyone()
        for port in row["ports"]
    }
    assert ours == theirs
    owners = {each[4] for each in ours}
    silent = {"no port", "no socket of the internet"}
    for what, pids in zoo.pids.items():
        assert (set(pids) <= owners) is (what not in silent), what
    assert not zoo.clients & {each[2] for each in ours if each[4] in zoo.pids[f"{CLIENTS} clients"]}
    shared = zoo.pids["forked workers sharing a listener"]
    assert len({each[:4] for each in ours if each[4] in shared}) == 1
    assert len(shared) == 4
    (deleted,) = [row for row in rows if row.get("pid") == zoo.pids["deleted executable"][0]]
    assert str(deleted["exe"]).endswith("/server (deleted)")
