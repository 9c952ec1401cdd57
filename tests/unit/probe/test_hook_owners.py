from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from engine.probe import bpfsys
from engine.probe.abi import LISTENER, OWNER, SETTINGS, Provenance, Role
from engine.probe.hook_settings import HookSettings
from engine.probe.owners import Hooks, socket_facts, socket_inodes

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when   uid  timeout inode\n"
LOOPBACK = socket.inet_pton(socket.AF_INET6, "::ffff:127.0.0.1")
MAPS = {"hook_settings": 1, "seeded": 2, "listeners": 3}


def line(local: str, state: str, inode: int) -> str:
    return (
        f"   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000"
        f"  1000        0 {inode} 1 0000000000000000 100 0 0 10 0\n"
    )


def tables(directory: Path, **contents: list[str]) -> Path:
    directory.mkdir(parents=True)
    for name, lines in contents.items():
        (directory / name).write_text(HEAD + "".join(lines))
    return directory


class TestFacts:
    def test_a_connection_to_a_served_port_is_the_servers_end(self, tmp_path: Path) -> None:
        facts = socket_facts(
            tables(
                tmp_path / "net",
                tcp=[
                    line("0100007F:1F90", "0A", 11),
                    line("0100007F:1F90", "01", 12),
                    line("0100007F:C000", "01", 13),
                ],
                tcp6=[line("0" * 32 + ":0016", "0A", 14)],
                udp=[line("0100007F:0035", "07", 15)],
            )
        )
        assert facts[11][:3] == (8080, True, Role.LISTENER)
        assert facts[12][:3] == (8080, False, Role.SERVER)
        assert facts[13][:3] == (49152, False, Role.CLIENT)
        assert facts[14][:3] == (22, True, Role.LISTENER)
        assert facts[15][:3] == (53, False, None)

    def test_sockets_nobody_holds_are_left_out(self, tmp_path: Path) -> None:
        assert socket_facts(tables(tmp_path / "net", tcp=[line("0100007F:0016", "06", 0)])) == {}

    def test_a_line_of_another_form_does_not_spoil_the_other_tables(self, tmp_path: Path) -> None:
        directory = tables(tmp_path / "net", tcp6=["nonsense\n"], udp=[line("0:0035", "07", 15)])
        assert set(socket_facts(directory)) == {15}

    def test_the_running_systems_tables_are_read(self) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            inode = os.fstat(listener.fileno()).st_ino
            port = listener.getsockname()[1]
            facts = socket_facts(Path("/proc/self/net"))[inode]
            assert facts == (port, True, Role.LISTENER, LOOPBACK)
            assert inode in set(socket_inodes(Path("/proc/self")))


class Written:
    """The maps as the engine wrote them."""

    def __init__(self) -> None:
        self.maps: dict[int, dict[bytes, bytes]] = {number: {} for number in MAPS.values()}

    def update(self, descriptor: int, key: bytes, value: bytes) -> None:
        self.maps[descriptor][key] = value

    def of(self, name: str) -> dict[bytes, bytes]:
        return self.maps[MAPS[name]]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> Written:
    written = Written()
    monkeypatch.setattr(bpfsys, "map_update", written.update)
    return written


def process(proc: Path, pid: int, inodes: list[int], space: Path) -> Path:
    directory = proc / str(pid)
    (directory / "fd").mkdir(parents=True)
    for number, inode in enumerate(inodes):
        (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
    (directory / "fd" / "99").symlink_to("/dev/null")
    (directory / "ns").mkdir()
    (directory / "ns" / "net").symlink_to(space)
    (directory / "comm").write_text("a longer name than fits\n")
    (directory / "status").write_text("Name:\tx\nUid:\t1000\t0\t0\t0\nGid:\t100\t0\t0\t0\n")
    return directory


class TestSeeding:
    @pytest.fixture
    def proc(self, tmp_path: Path) -> Path:
        space = tmp_path / "space"
        space.touch()
        proc = tmp_path / "proc"
        first = process(proc, 20, [11, 12], space)
        tables(first / "net", tcp=[line("0:1F90", "0A", 11), line("0:C000", "01", 12)])
        process(proc, 30, [11], space)
        process(proc, 40, [77], space)
        (proc / "meminfo").touch()
        return proc

    def test_each_socket_is_told_once_with_the_first_of_its_holders(
        self, written: Written, proc: Path, tmp_path: Path
    ) -> None:
        assert Hooks(MAPS).seed(proc) == 2
        seeded = written.of("seeded")
        assert sorted(int.from_bytes(key, "little") for key in seeded) == [11, 12]
        unpacked = OWNER.unpack(seeded[(11).to_bytes(8, "little")])
        assert unpacked == (
            0, 0, 0, 20, 20, 1000, 100, b"a longer name t\0", 1,
            Provenance.SEEDED, Role.LISTENER, 0,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("table", "shown", "address"),
        [
            ("tcp", "00000000", "::ffff:0.0.0.0"),
            ("tcp", "0100007F", "::ffff:127.0.0.1"),
            ("tcp6", "0" * 32, "::"),
            ("tcp6", "0" * 24 + "01000000", "::1"),
            ("tcp6", "0" * 16 + "FFFF00000100007F", "::ffff:127.0.0.1"),
        ],
    )
    def test_a_listener_is_told_by_its_network_port_and_address(
        self, written: Written, tmp_path: Path, table: str, shown: str, address: str
    ) -> None:
        space = tmp_path / "space"
        space.touch()
        listener = process(tmp_path / "proc", 20, [11], space)
        tables(listener / "net", **{table: [line(f"{shown}:1F90", "0A", 11)]})
        Hooks(MAPS).seed(tmp_path / "proc")
        (key,) = written.of("listeners")
        assert LISTENER.unpack(key) == (
            space.stat().st_ino,
            8080,
            socket.inet_pton(socket.AF_INET6, address),
        )

    def test_what_was_learned_before_is_stale_after(self, written: Written, proc: Path) -> None:
        hooks = Hooks(MAPS)
        hooks.seed(proc)
        hooks.seed(proc)
        _, _, generation = SETTINGS.unpack(written.of("hook_settings")[bytes(4)])
        assert generation == 2
        assert {OWNER.unpack(value)[8] for value in written.of("seeded").values()} == {2}

    def test_pids_of_another_namespace_are_not_told(self, written: Written, proc: Path) -> None:
        assert Hooks(MAPS, foreign_pids=True).seed(proc) == 0
        assert written.of("seeded") == {}


def test_settings_are_written_in_the_programs_units(written: Written) -> None:
    Hooks(MAPS).configure(HookSettings(segment_interval_s=0.5, fault_interval=0))
    assert SETTINGS.unpack(written.of("hook_settings")[bytes(4)]) == (500_000_000, 1, 0)
