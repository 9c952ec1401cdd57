"""SHA-256 of a plugin's file: what an Elkeid agent calls its signature."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

_DIGEST = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Whether this is a SHA-256 as an agent accepts it: in lower-case hexadecimal digits."""
    return _DIGEST.fullmatch(text) is not None


def matches(path: Path, digest: str) -> bool:
    """Whether `path` is a regular file, not a link to one, with that SHA-256."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        with os.fdopen(descriptor, "rb", closefd=False) as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == digest
    except OSError:
        return False
    finally:
        os.close(descriptor)
