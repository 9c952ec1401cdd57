from __future__ import annotations

import pytest

from engine.probe.bpfsys import possible_cpus


@pytest.mark.parametrize(
    ("text", "cpus"), [("0\n", 1), ("0-1\n", 2), ("0-3,8\n", 5), ("0-127", 128), ("0,2,4-5", 4)]
)
def test_possible_cpus_are_counted_from_ranges(text: str, cpus: int) -> None:
    assert possible_cpus(text) == cpus


def test_this_box_has_some() -> None:
    assert possible_cpus() >= 1
