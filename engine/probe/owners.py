"""Who has a socket open, for sockets that were there before anybody watched.

The programs learn the owners of sockets as they see threads hold them. What was there before they
ran is read here from /proc, and told to them by the socket's inode; a listener, whose connections
have no inode until they are accepted, by its network namespace, port and address.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from engine.probe import bpfsys
from engine.probe.abi import LISTENER, OWNED_SOCKETS, OWNER, SETTINGS, Provenance, Role
from engine.probe.hook_settings import HookSettings

PROC = Path("/proc")
_TABLES = ("tcp", "tcp6", "udp", "udp6")
_LISTEN = "0A"
_LINK = "socket:["
_COMM_SIZE = 16
_ADDRESS_SIZE = 16
_MAPPED = bytes(10) + b"\xff\xff"
"""What IPv6 puts before an IPv4 address."""


class SocketFacts(NamedTuple):
    """What a table in /proc/PID/net tells of a socket."""

    port: int
    listens: bool
    role: Role | None
    address: bytes
    """This end's, in the 16 bytes of IPv6; zeros for any."""


class Holder(NamedTuple):
    """A process that has sockets open."""

    pid: int
    uid: int
    gid: int
    comm: bytes


class Hooks:
    """The programs' settings and what they know of sockets that are older than they.

    Args:
        maps: Descriptors of the maps by name.
        foreign_pids: The pids of /proc are not those the programs see, so that nothing of it
            can be told to them.

    Raises:
        OSError: if the kernel refuses.
    """

    def __init__(self, maps: Mapping[str, int], *, foreign_pids: bool = False) -> None:
        self._maps = maps
        self._foreign = foreign_pids
        self._generation = 0
        self._settings = HookSettings()
        self.configure(HookSettings())

    def configure(self, settings: HookSettings) -> None:
        """Put settings in force.

        Raises:
            OSError: if the kernel refuses.
        """
        self._settings = settings
        packed = SETTINGS.pack(
            int(settings.segment_interval_s * 1e9),
            max(settings.fault_interval, 1),
            self._generation,
        )
        bpfsys.map_update(self._maps["hook_settings"], bytes(4), packed)

    def seed(self, proc: Path = PROC) -> int:
        """Forget what was learned before and tell the programs who has which socket open now.

        Returns:
            How many sockets they were told of.

        Raises:
            OSError: if the kernel refuses.
        """
        self._generation += 1
        self.configure(self._settings)
        return 0 if self._foreign else self._tell(proc)

    def _tell(self, proc: Path) -> int:
        facts: dict[tuple[int, int], SocketFacts] = {}
        tables: dict[int, Mapping[int, SocketFacts]] = {}
        for pid in _pids(proc):
            with contextlib.suppress(OSError):  # it may end at any moment
                inodes = set(socket_inodes(proc / str(pid)))
                if not inodes:
                    continue
                space = os.stat(proc / str(pid) / "ns/net").st_ino
                table = tables.get(space)
                if table is None:
                    table = tables[space] = socket_facts(proc / str(pid) / "net")
                found = inodes & table.keys()
                if not found:
                    continue
                packed = _Packed(_holder(proc / str(pid), pid), self._generation)
                for inode in found:
                    if (space, inode) not in facts and len(facts) < OWNED_SOCKETS:
                        facts[space, inode] = table[inode]
                        self._write(space, inode, table[inode], packed)
        return len(facts)

    def _write(self, space: int, inode: int, fact: SocketFacts, packed: _Packed) -> None:
        value = packed.with_role(fact.role)
        bpfsys.map_update(self._maps["seeded"], inode.to_bytes(8, "little"), value)
        if fact.listens:
            key = LISTENER.pack(space, fact.port, fact.address)
            bpfsys.map_update(self._maps["listeners"], key, value)


class _Packed(NamedTuple):
    """A holder as the programs' struct owner, but for the role."""

    holder: Holder
    generation: int

    def with_role(self, role: Role | None) -> bytes:
        pid, uid, gid, comm = self.holder
        return OWNER.pack(
            0, 0, 0, pid, pid, uid, gid, comm, self.generation, Provenance.SEEDED, role or 0, 0
        )


def socket_inodes(process: Path) -> Iterator[int]:
    """Inodes of the sockets a process has open.

    Args:
        process: Its directory in /proc.

    Raises:
        OSError: if it is gone, or not ours to look into.
    """
    for descriptor in os.scandir(process / "fd"):
        with contextlib.suppress(OSError):
            link = os.readlink(descriptor.path)
            if link.startswith(_LINK):
                yield int(link[len(_LINK) : -1])


def socket_facts(tables: Path) -> dict[int, SocketFacts]:
    """The IP sockets of a network namespace, by inode.

    Args:
        tables: /proc/PID/net of a process in it.
    """
    rows: list[tuple[int, int, bool, bool, bytes]] = []
    for table in _TABLES:
        with contextlib.suppress(OSError, IndexError, ValueError):
            for line in (tables / table).read_text().splitlines()[1:]:
                words = line.split()
                listens = table.startswith("tcp") and words[3] == _LISTEN
                host, _, port = words[1].partition(":")
                facts = int(port, 16), listens, table.startswith("tcp"), _address(host)
                rows.append((int(words[9]), *facts))
    served = {port for _, port, listens, _, _ in rows if listens}
    return {
        inode: SocketFacts(port, listens, _role(port, listens, tcp, served), address)
        for inode, port, listens, tcp, address in rows
        if inode
    }


def _address(shown: str) -> bytes:
    """The address in 16 bytes, of one that is shown in the words of this machine."""
    packed = b"".join(
        int(shown[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(shown), 8)
    )
    return packed if len(packed) == _ADDRESS_SIZE else _MAPPED + packed


def _role(port: int, listens: bool, tcp: bool, served: set[int]) -> Role | None:
    if not tcp:
        return None
    if listens:
        return Role.LISTENER
    return Role.SERVER if port in served else Role.CLIENT


def _pids(proc: Path) -> list[int]:
    """Every process; parents before the children that inherited their sockets, mostly."""
    return sorted(int(entry.name) for entry in os.scandir(proc) if entry.name.isdecimal())


def _holder(process: Path, pid: int) -> Holder:
    """Who a process is.

    Raises:
        OSError: if it is gone.
    """
    comm = (process / "comm").read_bytes().rstrip(b"\n")[: _COMM_SIZE - 1]
    uid = gid = 0
    for line in (process / "status").read_text().splitlines():
        name, _, values = line.partition(":")
        if name == "Uid":
            uid = int(values.split()[0])
        elif name == "Gid":
            gid = int(values.split()[0])
    return Holder(pid, uid, gid, comm)
