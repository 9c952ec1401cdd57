"""The folders a user's files are kept in."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.folders import cache_folder


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("/somewhere", "/somewhere/boxscope"),
        ("relative", "/home/me/.cache/boxscope"),
        ("", "/home/me/.cache/boxscope"),
        (None, "/home/me/.cache/boxscope"),
    ],
)
def test_a_cache_lies_where_users_keep_caches(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, found: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if wanted is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", wanted)
    assert cache_folder() == Path(found)
