"""When the garbage collector may run: seldom, as records hold no cycles."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_RARE = (20_000, 10, 50)


def collect_rarely() -> None:
    """Have the collector run seldom from the start: what is imported is no garbage."""
    gc.set_threshold(*_RARE)


@contextmanager
def rare_collections() -> Iterator[None]:
    """Keep the garbage collector out of the way of the keyboard and of the readers.

    A full collection walks everything imported and every record kept, for 100 ms and more, in
    which no key is answered and no ring is read; at the end of the process it would hold up
    the shell as long. With the defaults a reader of kernel events spends a third of its time
    in it.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_RARE)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.freeze()
