"""A file is what its digest says, or it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.agent.verify import is_digest, matches
from tests.unit.agent.artifacts import sha256


def test_a_file_matches_its_own_digest_only(tmp_path: Path) -> None:
    path = tmp_path / "plugin"
    path.write_bytes(b"content")
    assert matches(path, sha256(b"content"))
    assert not matches(path, sha256(b"other"))
    assert not matches(path, sha256(b"content").upper())


@pytest.mark.parametrize("what", ["missing", "link", "directory", "fifo"])
def test_only_a_regular_file_matches(tmp_path: Path, what: str) -> None:
    path = tmp_path / "plugin"
    (tmp_path / "real").write_bytes(b"")
    match what:
        case "link":
            path.symlink_to(tmp_path / "real")
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
    assert not matches(path, sha256(b""))


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (sha256(b""), True),
        (sha256(b"").upper(), False),
        (sha256(b"")[:-1], False),
        (sha256(b"") + "\n", False),
        ("", False),
        ("z" * 64, False),
    ],
)
def test_a_digest_is_64_lower_case_hexadecimal_digits(text: str, valid: bool) -> None:
    assert is_digest(text) is valid
