"""Only a verified executable gets to where the agent would run it from."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.agent.config import PluginConfig
from engine.agent.install import (
    check_config,
    install_config,
    install_copy,
    is_installed,
    remove_directory,
)
from engine.core.errors import PluginError, UsageError
from tests.unit.agent.artifacts import file_with, member, sha256, tar_gz, web_server

PROGRAM = b"#!/bin/sh\nexit 0\n"
OTHER = b"#!/bin/sh\nexit 1\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "plugin" / "demo"


def config(**changes: object) -> PluginConfig:
    values: dict[str, object] = {"name": "demo", "version": "1", "sha256": sha256(PROGRAM)}
    made = PluginConfig.model_validate(values | changes)
    check_config(made)
    return made


def names(directory: Path) -> list[str]:
    """What is in a directory, and nothing may be left beside it."""
    assert [entry.name for entry in directory.parent.iterdir()] == [directory.name]
    return sorted(entry.name for entry in directory.iterdir())


# An executable.


def test_a_file_that_matches_is_made_executable_and_nothing_is_downloaded(directory: Path) -> None:
    file_with(directory / "demo", PROGRAM)
    assert is_installed(config(), directory)
    for legacy in ("demo.stderr", "demo.stdout"):
        file_with(directory / legacy, b"from an earlier agent")
    path = install_config(config(download_urls=["http://127.0.0.1:1/never"]), directory)
    assert path == directory / "demo"
    assert names(directory) == ["demo"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_the_signature_counts_and_not_the_sha256_of_an_archive(directory: Path) -> None:
    file_with(directory / "demo", PROGRAM)
    wanted = config(type="tar.gz", sha256=sha256(b"archive"), signature=sha256(PROGRAM))
    assert install_config(wanted, directory).read_bytes() == PROGRAM


@pytest.mark.parametrize("before", [None, OTHER], ids=["nothing there", "another one there"])
def test_a_missing_or_different_executable_is_downloaded(
    directory: Path, before: bytes | None
) -> None:
    if before is not None:
        file_with(directory / "demo", before)
        file_with(directory / "own-state", b"kept")
    with web_server({"/demo": PROGRAM}) as web:
        path = install_config(config(download_urls=[web.url("/demo")]), directory)
    assert path.read_bytes() == PROGRAM
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert names(directory) == (["demo"] if before is None else ["demo", "own-state"])


def test_a_download_that_is_something_else_changes_nothing(directory: Path) -> None:
    file_with(directory / "demo", OTHER)
    with (
        web_server({"/demo": b"#!/bin/sh\nrm -rf /\n"}) as web,
        pytest.raises(PluginError, match="plugin demo: cannot download it"),
    ):
        install_config(config(download_urls=[web.url("/demo")]), directory)
    assert (directory / "demo").read_bytes() == OTHER
    assert names(directory) == ["demo"]


def test_a_mismatch_without_urls_is_refused_where_a_real_agent_would_run_it(
    directory: Path,
) -> None:
    file_with(directory / "demo", OTHER, 0o700)
    with pytest.raises(PluginError, match="a real agent would run it all the same"):
        install_config(config(), directory)


def test_nothing_there_and_no_urls_is_said(directory: Path) -> None:
    with pytest.raises(PluginError, match="does not exist and there are no download_urls"):
        install_config(config(), directory)


def test_digests_that_contradict_each_other_are_refused(directory: Path) -> None:
    wanted = config(signature=sha256(OTHER), download_urls=["http://127.0.0.1:1/never"])
    with pytest.raises(PluginError, match="sha256 and signature differ"):
        install_config(wanted, directory)


def test_a_download_needs_a_sha256(directory: Path) -> None:
    wanted = config(sha256="", signature=sha256(PROGRAM), download_urls=["http://127.0.0.1:1/x"])
    with pytest.raises(PluginError, match="it has no sha256"):
        install_config(wanted, directory)


def test_a_directory_in_the_place_of_the_executable_is_said(directory: Path) -> None:
    (directory / "demo").mkdir(parents=True)
    with (
        web_server({"/demo": PROGRAM}) as web,
        pytest.raises(PluginError, match="cannot install plugin demo"),
    ):
        install_config(config(download_urls=[web.url("/demo")]), directory)


# An archive.


def archive_config(content: bytes, url: str, **changes: object) -> PluginConfig:
    return config(type="tar.gz", sha256=sha256(content), download_urls=[url], **changes)


def test_an_archive_is_unpacked_into_the_working_directory(directory: Path) -> None:
    file_with(directory / "demo", OTHER)
    file_with(directory / "own-state", b"kept")
    packed = tar_gz(member("demo", PROGRAM, mode=0o644), member("rules/a.yaml", b"a"))
    with web_server({"/demo.tar.gz": packed}) as web:
        wanted = archive_config(packed, web.url("/demo.tar.gz"), signature=sha256(PROGRAM))
        path = install_config(wanted, directory)
        assert install_config(wanted, directory) == path
        assert web.asked == ["/demo.tar.gz"]
    assert path.read_bytes() == PROGRAM
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert names(directory) == ["demo", "own-state", "rules"]


def test_without_a_signature_the_archives_digest_vouches_for_its_content(directory: Path) -> None:
    packed = tar_gz(member("demo", PROGRAM))
    with web_server({"/demo.tar.gz": packed}) as web:
        wanted = archive_config(packed, web.url("/demo.tar.gz"))
        install_config(wanted, directory)
        install_config(wanted, directory)
        # Nothing says which executable it is to be, so it is fetched each time, as by an agent.
        assert web.asked == ["/demo.tar.gz"] * 2


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (tar_gz(member("demo", OTHER)), "the executable in its archive does not have the SHA-256"),
        (tar_gz(member("bin/demo", PROGRAM)), "its archive holds no file demo"),
        (tar_gz(member("demo", PROGRAM), member("../x", b"x")), "leads out of its directory"),
        (PROGRAM, "is not a whole tar.gz"),
    ],
    ids=["another executable", "no executable", "traversal", "no archive"],
)
def test_an_archive_that_is_refused_changes_nothing(
    directory: Path, packed: bytes, why: str
) -> None:
    file_with(directory / "demo", OTHER)
    with web_server({"/x": packed}) as web:
        wanted = archive_config(packed, web.url("/x"), signature=sha256(PROGRAM))
        with pytest.raises(PluginError, match=why):
            install_config(wanted, directory)
    assert (directory / "demo").read_bytes() == OTHER
    assert names(directory) == ["demo"]


# The configuration, copies, and deleting.


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sha256": ""}, "neither sha256 nor signature"),
        ({"sha256": sha256(PROGRAM).upper()}, "is no SHA-256"),
        ({"signature": "12"}, "signature '12' is no SHA-256"),
        ({"signature": "\x1b]0;x\x07"}, "is no SHA-256"),
        ({"detail": "a\0b"}, "holds a NUL"),
    ],
)
def test_a_configuration_no_file_could_satisfy_is_refused(
    changes: dict[str, object], why: str
) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        config(**changes)
    assert caught.value.message.isprintable()


def test_installs_a_copy_only_its_owner_can_use(tmp_path: Path) -> None:
    source = file_with(tmp_path / "source", PROGRAM, 0o755)
    target = install_copy(source, tmp_path / "plugin" / "demo" / "demo")
    assert target.read_bytes() == PROGRAM
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    with pytest.raises(PluginError, match="cannot copy"):
        install_copy(tmp_path / "missing", target)


def test_a_directory_is_deleted_only_directly_below_the_given_one(tmp_path: Path) -> None:
    plugins, outside = tmp_path / "plugin", tmp_path / "outside"
    (plugins / "demo" / "rules").mkdir(parents=True)
    (outside / "precious").mkdir(parents=True)
    (plugins / "link").symlink_to(outside)
    assert not remove_directory(outside, plugins)
    assert not remove_directory(plugins / "link", plugins)
    assert not remove_directory(plugins / "demo" / "rules", plugins)
    assert not remove_directory(plugins / "link" / "precious", plugins)
    assert not remove_directory(plugins / "demo" / "..", plugins)
    assert (outside / "precious").is_dir()
    assert (plugins / "demo" / "rules").is_dir()
    assert remove_directory(plugins / "demo", plugins)
    assert not (plugins / "demo").exists()
    assert remove_directory(plugins / "demo", plugins)
