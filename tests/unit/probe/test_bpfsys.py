from __future__ import annotations

import pytest

from engine.probe.bpfsys import highest_cpu, possible_cpus


@pytest.mark.parametrize(
    ("text", "cpus", "highest"),
    [("0\n", 1, 0), ("0-1\n", 2, 1), ("0-3,8\n", 5, 8), ("0-127", 128, 127), ("0,2,4-5", 4, 5)],
)
def test_possible_cpus_are_counted_from_ranges(text: str, cpus: int, highest: int) -> None:
    assert possible_cpus(text) == cpus
    assert highest_cpu(text) == highest


def test_this_box_has_some() -> None:
    assert possible_cpus() >= 1
