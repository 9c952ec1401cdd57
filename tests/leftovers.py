"""What programs leave that are killed, and so cannot tidy up."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def own_temporary_files() -> Iterator[dict[str, str]]:
    """The environment for a program that may be killed: its temporary files go with the block."""
    with tempfile.TemporaryDirectory(prefix="killed-", ignore_cleanup_errors=True) as place:
        yield {**os.environ, "TMPDIR": place}
