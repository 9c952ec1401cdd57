"""Compiled programs between runs: found again, and never taken from anybody else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.probe.program_cache import KEPT, ProgramCache, key_of

KEY, OTHER = key_of([b"text"]), key_of([b"other"])


@pytest.fixture
def cache(tmp_path: Path) -> ProgramCache:
    return ProgramCache(tmp_path / "cache")


def only_file(tmp_path: Path) -> Path:
    (file,) = (tmp_path / "cache").iterdir()
    return file


def test_what_was_put_is_found_again(cache: ProgramCache, tmp_path: Path) -> None:
    assert cache.get(KEY) is None
    cache.put(KEY, b"compiled")
    assert cache.get(KEY) == b"compiled"
    assert cache.get(OTHER) is None
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700


def test_the_key_tells_parts_apart() -> None:
    assert key_of([b"a", b"bc"]) != key_of([b"ab", b"c"])


def test_without_a_directory_nothing_is_kept() -> None:
    cache = ProgramCache(None)
    cache.put(KEY, b"compiled")
    assert cache.get(KEY) is None


def test_a_file_under_another_name_is_not_taken(cache: ProgramCache, tmp_path: Path) -> None:
    cache.put(KEY, b"compiled")
    only_file(tmp_path).rename(tmp_path / "cache" / f"{OTHER}.bpf")
    assert cache.get(OTHER) is None


def test_a_damaged_file_is_not_taken(cache: ProgramCache, tmp_path: Path) -> None:
    cache.put(KEY, b"compiled")
    only_file(tmp_path).write_bytes(only_file(tmp_path).read_bytes()[:-1])
    assert cache.get(KEY) is None


@pytest.mark.parametrize("mode", [0o720, 0o702])
def test_a_directory_others_may_write_is_not_trusted(
    cache: ProgramCache, tmp_path: Path, mode: int
) -> None:
    cache.put(KEY, b"compiled")
    (tmp_path / "cache").chmod(mode)
    assert cache.get(KEY) is None
    cache.put(OTHER, b"compiled")
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_file_others_may_write_is_not_trusted(cache: ProgramCache, tmp_path: Path) -> None:
    cache.put(KEY, b"compiled")
    only_file(tmp_path).chmod(0o666)
    assert cache.get(KEY) is None


def test_a_file_of_somebody_else_is_not_trusted(cache: ProgramCache, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    cache.put(KEY, b"compiled")
    os.chown(only_file(tmp_path), 65534, 65534)
    assert cache.get(KEY) is None


def test_a_link_is_not_followed(cache: ProgramCache, tmp_path: Path) -> None:
    cache.put(KEY, b"compiled")
    moved = only_file(tmp_path).rename(tmp_path / "elsewhere")
    (tmp_path / "cache" / f"{KEY}.bpf").symlink_to(moved)
    assert cache.get(KEY) is None


def test_only_the_newest_files_stay(cache: ProgramCache, tmp_path: Path) -> None:
    keys = [key_of([bytes([number])]) for number in range(KEPT + 3)]
    for number, key in enumerate(keys):
        cache.put(key, b"compiled")
        os.utime(tmp_path / "cache" / f"{key}.bpf", (number, number))
    cache.put(KEY, b"compiled")
    kept = {file.stem for file in (tmp_path / "cache").iterdir()}
    assert kept == {*keys[-KEPT + 1 :], KEY}


def test_a_directory_that_cannot_be_made_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ProgramCache(tmp_path / "file" / "cache")
    cache.put(KEY, b"compiled")
    assert cache.get(KEY) is None
