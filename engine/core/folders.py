"""Where a user's files are, as the XDG Base Directory Specification has it."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`boxscope` in XDG_CACHE_HOME; in ~/.cache where that is unset or no absolute path."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        base = os.path.join(home if os.path.isabs(home) else "/", ".cache")
    return Path(base, "boxscope")
