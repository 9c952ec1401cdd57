"""Files for the reader, written where it can open them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes bytes to a file and says where."""

    def to_file(content: bytes, name: str = "module.so") -> Path:
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return to_file
