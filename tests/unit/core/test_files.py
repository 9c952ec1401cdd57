"""Files that somebody named."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import UsageError
from engine.core.files import read_bounded, read_named


def test_a_file_as_long_as_it_may_be_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"x" * 2_048)
    assert read_bounded(tmp_path / "list", 2_048) == b"x" * 2_048


@pytest.mark.parametrize(("most", "bound"), [(2_048, "2 KiB"), (1 << 20, "1 MiB")])
def test_a_longer_one_is_refused(tmp_path: Path, most: int, bound: str) -> None:
    (tmp_path / "list").write_bytes(b"x" * (most + 1))
    with pytest.raises(UsageError, match=f"list is longer than {bound}"):
        read_named(tmp_path / "list", most, fix="give a shorter one")


def test_one_that_cannot_be_read_is_an_error_that_names_it_harmlessly(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        read_bounded(tmp_path / "none", 1_024)
    with pytest.raises(UsageError, match=r"^cannot read .*none.: No such file") as refused:
        read_named(tmp_path / "none\x1b", 1_024, fix="give the path of a list")
    assert "\x1b" not in refused.value.message
    assert refused.value.fix == "give the path of a list"
