"""Where an engine listens: for whom, and what becomes of the place."""

from __future__ import annotations

import grp
import os
import socket
import stat
from pathlib import Path

import pytest

from engine.core.errors import AttachError, UsageError
from engine.remote.address import Claim, connect, find_address, own_address, peer_of

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_and_its_directory_are_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "engine.sock"
    claim = Claim(path)
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    with connect(path, 1.0) as console:
        assert peer_of(console).pid == os.getpid()
        with claim.socket.accept()[0] as accepted:
            assert peer_of(accepted) == (os.getpid(), os.geteuid(), os.getegid())
    claim.release()
    assert list(path.parent.iterdir()) == []
    claim.release()


@needs_root
def test_a_group_may_pass_the_directory_and_use_the_socket(tmp_path: Path) -> None:
    path, group = tmp_path / "run" / "engine.sock", grp.getgrall()[-1]
    claim = Claim(path, group.gr_name)
    assert (mode(path), mode(path.parent)) == (0o660, 0o710)
    assert path.stat().st_gid == path.parent.stat().st_gid == group.gr_gid
    claim.release()


def test_a_directory_that_was_there_stays_as_it_is(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    Claim(tmp_path / "engine.sock").release()
    assert mode(tmp_path) == 0o755


def test_what_a_dead_engine_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    with pytest.raises(AttachError, match=r"the engine that listened at .* has ended"):
        connect(path, 1.0)
    claim = Claim(path)
    connect(path, 1.0).close()
    claim.release()


def test_a_living_one_is_not_replaced_and_named(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    claim = Claim(path)
    with pytest.raises(AttachError, match=f"an engine, process {os.getpid()}, owns .* already"):
        Claim(path)
    connect(path, 1.0).close()
    claim.release()


def test_neither_is_another_program_that_listens_there(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        with pytest.raises(AttachError, match=f"process {os.getpid()}"):
            Claim(path)
        assert path.exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    path.write_text("precious")
    with pytest.raises(AttachError, match="exists and is no socket"):
        Claim(path)
    assert path.read_text() == "precious"


def test_a_place_that_was_taken_by_somebody_else_meanwhile_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    claim = Claim(path)
    path.unlink()
    path.write_text("another's")
    claim.release()
    assert path.read_text() == "another's"


@pytest.mark.parametrize(
    ("path", "group", "says"),
    [
        ("x" * 200, "", "107 bytes at most"),
        ("engine.sock", "no-such-group", "there is no group"),
    ],
)
def test_what_cannot_be_is_a_usage_error(tmp_path: Path, path: str, group: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Claim(tmp_path / path, group)
    assert list(tmp_path.iterdir()) == []


def test_where_nobody_can_listen_that_is_said() -> None:
    with pytest.raises(AttachError, match=r"cannot listen at /proc/boxscope/engine.sock"):
        Claim(Path("/proc/boxscope/engine.sock"))
    with pytest.raises(AttachError, match=r"no engine listens at /proc/engine.sock"):
        connect(Path("/proc/engine.sock"), 1.0)


def test_an_engine_is_looked_for_where_its_user_would_have_it(tmp_path: Path) -> None:
    environment = {"XDG_RUNTIME_DIR": str(tmp_path)}
    own = own_address(environment)
    expected = Path("/run") if os.geteuid() == 0 else tmp_path
    assert own == expected / "boxscope" / "engine.sock"
    assert find_address(environment) in (own, Path("/run/boxscope/engine.sock"))
