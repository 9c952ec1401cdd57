"""What pruning costs: it is done twice a second, for as long as something is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.recording.creation import create_file
from engine.recording.options import RecordingOptions
from engine.recording.pruning import Pruner

BEGAN_NS, PASS_NS = 1_700_000_000_000_000_000, 500_000_000
KEPT = ("plugin_record", "kernel_event", "l7_message", "log")


class Kept:
    """A recording of which the last passes are kept, and what SQLite does for a pass.

    Args:
        path: The file.
        passes: How many.
    """

    def __init__(self, path: Path, passes: int) -> None:
        self.database = create_file(path)
        self._pruner = Pruner(self.database, RecordingOptions(keep_s=passes * PASS_NS / 1e9))
        self._steps = 0
        self.database.set_progress_handler(self._count, 1)
        for number in range(1, passes + 1):
            self.write(number)

    def write(self, number: int, *, later: int = 0) -> int:
        """Write a pass, so many passes later than it would be; how many steps pruning took."""
        at_ns = (number + later) * PASS_NS
        self.database.execute("BEGIN IMMEDIATE")
        for kind in KEPT:
            self.database.execute(f'INSERT INTO "{kind}" (seq) VALUES (?)', (number,))
            row = (BEGAN_NS + at_ns, kind, number)
            self.database.execute("INSERT INTO marks VALUES (?, ?, ?)", row)
        self._steps = 0
        self._pruner.prune(BEGAN_NS + at_ns, at_ns)
        steps = self._steps
        self.database.execute("COMMIT")
        return steps

    def count(self, table: str) -> int:
        """How many rows a table has."""
        ((count,),) = self.database.execute(f'SELECT count(*) FROM "{table}"')
        return int(count)

    def _count(self) -> None:
        self._steps += 1


@pytest.mark.parametrize("later", [0, 10], ids=["each pass", "after a while without any"])
def test_a_pass_costs_no_more_the_longer_is_kept(tmp_path: Path, later: int) -> None:
    steps = {}
    for passes in (100, 2_000):
        kept = Kept(tmp_path / f"{passes}.db", passes)
        steps[passes] = kept.write(passes + 1, later=later)
        assert kept.count("marks") == (passes - later) * len(KEPT)
        assert kept.count("kernel_event") == passes - later
        kept.database.close()
    assert steps[2_000] < 1.5 * steps[100]


def test_passes_that_are_over_at_once_cost_little_each(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "r.db", 1_000)
    steps = kept.write(1_001, later=10_000)
    assert kept.count("marks") == len(KEPT)
    assert kept.count("kernel_event") == 1
    assert steps < 1_000 * 500
    kept.database.close()
