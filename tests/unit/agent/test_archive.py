"""Archives are unpacked where they belong, or refused with the reason."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.agent import archive
from engine.agent.archive import move_over, unpack
from engine.core.errors import PluginError
from tests.unit.agent.artifacts import member, tar_gz


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """An empty directory; what else appears beside it has escaped."""
    made = tmp_path / "into"
    made.mkdir()
    return made


def unpacked(content: bytes, into: Path) -> None:
    packed = into.parent / "packed.tar.gz"
    packed.write_bytes(content)
    unpack(packed, into)
    assert sorted(entry.name for entry in into.parent.iterdir()) == ["into", "packed.tar.gz"]


def test_files_and_directories_come_out_as_they_went_in(into: Path) -> None:
    unpacked(
        tar_gz(
            member("demo", b"#!/bin/sh\n", mode=0o750),
            member("rules", type=tarfile.DIRTYPE, mode=0o700),
            member("./rules/a.yaml", b"a: 1\n", mode=0o640),
            member("deep/er/b", b"b"),
        ),
        into,
    )
    assert (into / "demo").read_bytes() == b"#!/bin/sh\n"
    assert (into / "rules" / "a.yaml").read_bytes() == b"a: 1\n"
    assert (into / "deep" / "er" / "b").read_bytes() == b"b"
    modes = {name: stat.S_IMODE((into / name).stat().st_mode) for name in ("demo", "rules/a.yaml")}
    assert modes == {"demo": 0o750, "rules/a.yaml": 0o640}


def test_special_permissions_are_taken_away(into: Path) -> None:
    unpacked(tar_gz(member("demo", b"x", mode=0o6755)), into)
    assert stat.S_IMODE((into / "demo").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    ("hostile", "why"),
    [
        (member("../escaped", b"x"), "leads out of its directory"),
        (member("a/../../escaped", b"x"), "leads out of its directory"),
        (member("a/../b", b"x"), "leads out of its directory"),
        (member("/etc/boxscope-escaped", b"x"), "leads out of its directory"),
        (member("..", type=tarfile.DIRTYPE), "leads out of its directory"),
        (member("link", type=tarfile.SYMTYPE, linkname="/etc"), "neither a regular file"),
        (member("link", type=tarfile.LNKTYPE, linkname="demo"), "neither a regular file"),
        (member("null", type=tarfile.CHRTYPE, devmajor=1, devminor=3), "neither a regular file"),
        (member("disk", type=tarfile.BLKTYPE), "neither a regular file"),
        (member("fifo", type=tarfile.FIFOTYPE), "neither a regular file"),
        (member("\x1b]0;x\x07", type=tarfile.FIFOTYPE), "␛"),
    ],
    ids=lambda value: repr(value[0].name) if isinstance(value, tuple) else "",
)
def test_what_a_plugin_has_no_need_of_is_refused(
    into: Path, hostile: tuple[tarfile.TarInfo, bytes], why: str
) -> None:
    with pytest.raises(PluginError, match="the archive is refused") as caught:
        unpacked(tar_gz(member("demo", b"x"), hostile), into)
    assert why in caught.value.message
    assert caught.value.message.isprintable()
    assert not Path("/etc/boxscope-escaped").exists()


def test_a_file_below_a_link_of_the_same_archive_is_refused(into: Path) -> None:
    hostile = tar_gz(
        member("way", type=tarfile.SYMTYPE, linkname=".."), member("way/escaped", b"x")
    )
    with pytest.raises(PluginError, match="neither a regular file"):
        unpacked(hostile, into)


def test_a_sparse_file_is_refused(into: Path) -> None:
    with pytest.raises(PluginError, match="is refused"):
        unpacked(tar_gz(member("hole", type=tarfile.GNUTYPE_SPARSE)), into)


def test_a_file_in_the_place_of_a_directory_is_refused(into: Path) -> None:
    with pytest.raises(PluginError, match="cannot unpack the archive"):
        unpacked(tar_gz(member("a", b"x"), member("a/b", b"x")), into)


def test_an_archive_that_blows_up_is_refused(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = into.parent / "packed.tar.gz"
    packed.write_bytes(tar_gz(*(member(str(number), bytes(1_000)) for number in range(5))))
    with pytest.raises(PluginError, match="more than 4999 bytes unpacked"):
        unpack(packed, into, max_bytes=4_999)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 4)
    with pytest.raises(PluginError, match="more than 4 files"):
        unpack(packed, into)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"#!/bin/sh\n",
        gzip.compress(b"no tar"),
        tar_gz(member("demo", os.urandom(90_000)))[:-40_000],
    ],
    ids=["empty", "script", "gzip only", "cut"],
)
def test_what_is_no_whole_archive_is_refused(into: Path, content: bytes) -> None:
    with pytest.raises(PluginError, match=r"the archive is refused|cannot unpack the archive"):
        unpacked(content, into)


@pytest.mark.fuzz("plugin archive")
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_archive_is_unpacked_or_refused_and_nothing_else(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tar = bytearray(
        gzip.decompress(tar_gz(member("demo", b"x" * 700), member("rules/a", b"a" * 30)))
    )
    for position in data.draw(st.lists(st.integers(0, len(tar) - 1), max_size=8)):
        tar[position] = data.draw(st.integers(0, 255))
    into = tmp_path_factory.mktemp("damaged") / "into"
    into.mkdir()
    with suppress(PluginError):
        unpacked(gzip.compress(bytes(tar)), into)


def test_what_was_there_before_stays_unless_it_is_replaced(tmp_path: Path) -> None:
    tree, directory = tmp_path / "tree", tmp_path / "plugin"
    (tree / "rules").mkdir(parents=True)
    (tree / "demo").write_text("new")
    (tree / "rules" / "a").write_text("new")
    (directory / "rules").mkdir(parents=True)
    (directory / "demo").write_text("old")
    (directory / "rules" / "own").write_text("old")
    move_over(tree, directory)
    found = {
        str(path.relative_to(directory)): path.read_text()
        for path in directory.rglob("*")
        if path.is_file()
    }
    assert found == {"demo": "new", "rules/a": "new", "rules/own": "old"}


def test_a_link_in_the_way_is_not_followed(tmp_path: Path) -> None:
    tree, directory, outside = (tmp_path / name for name in ("tree", "plugin", "outside"))
    (tree / "rules").mkdir(parents=True)
    (tree / "rules" / "a").write_text("new")
    directory.mkdir()
    outside.mkdir()
    (directory / "rules").symlink_to(outside)
    with pytest.raises(PluginError, match="Not a directory"):
        move_over(tree, directory)
    assert list(outside.iterdir()) == []
