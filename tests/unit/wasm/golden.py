"""The golden vectors of the DeepFlow Wasm ABI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

GOLDEN: dict[str, Any] = json.loads(
    Path(__file__).with_name("golden_vectors.json").read_text(encoding="utf-8")
)


def ids(name: str) -> list[str]:
    """Test ids of a list of vectors."""
    return [str(vector["id"]) for vector in GOLDEN[name]]
