"""Completing a path in a dialog."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui.console.paths import complete, problem_with_file


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    for name in ("alpha", "alpine", "beta", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "alpha").chmod(0o755)
    (tmp_path / "alps").mkdir()
    return tmp_path


def test_it_goes_as_far_as_all_candidates_agree(directory: Path) -> None:
    completion = complete(f"{directory}/a")
    assert completion.text == f"{directory}/alp"
    assert completion.candidates == ("alpha*", "alpine", "alps/")


def test_a_single_candidate_is_completed_whole(directory: Path) -> None:
    assert complete(f"{directory}/b").text == f"{directory}/beta"
    assert complete(f"{directory}/alps").text == f"{directory}/alps/"


def test_what_fits_nothing_stays_as_it_is(directory: Path) -> None:
    assert complete(f"{directory}/z") == (f"{directory}/z", (), "")


def test_of_files_those_with_a_suffix_are_offered_alone(directory: Path) -> None:
    (directory / "alpha.wasm").touch()
    assert complete(f"{directory}/a", ".wasm").candidates == ("alpha.wasm", "alps/")
    assert complete(f"{directory}/alph", ".wasm").text == f"{directory}/alpha.wasm"


def test_hidden_names_are_offered_once_their_dot_is_typed(directory: Path) -> None:
    assert ".hidden" not in complete(f"{directory}/").candidates
    assert complete(f"{directory}/.h").text == f"{directory}/.hidden"


def test_the_home_directory_may_be_written_as_a_tilde(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(directory))
    assert complete("~/b").text == "~/beta"


def test_relative_paths_are_those_of_the_working_directory(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(directory)
    assert complete("b").text == "beta"


@pytest.mark.parametrize("name", ["evil\x1b[31m", "evil\u202e", b"evil\xff"])
def test_names_that_cannot_be_shown_as_they_are_are_not_offered(
    tmp_path: Path, name: str | bytes
) -> None:
    with open(bytes(tmp_path) + b"/" + (name.encode() if isinstance(name, str) else name), "wb"):
        pass
    assert complete(f"{tmp_path}/e").candidates == ()


def test_a_directory_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert "No such file" in complete(f"{tmp_path}/none/x").problem
    assert complete("a\0b/c").problem


def test_the_path_of_an_executable_is_that_of_a_file(directory: Path) -> None:
    assert problem_with_file(str(directory / "alpha")) == ""
    assert problem_with_file(" ") == "a path is needed"
    assert "directory" in problem_with_file(str(directory))
    assert problem_with_file(f"{directory}/none") == "there is no such file"
    assert problem_with_file("a\0b")
