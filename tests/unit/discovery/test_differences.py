"""Records that came and went between two runs of them."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.differences import differing_records


@given(
    st.lists(st.integers(0, 60), unique=True),
    st.lists(st.integers(0, 60), unique=True),
    st.sets(st.integers(0, 60)),
)
def test_what_differs_between_two_dumps_is_found_whatever_the_order(
    before: list[int], now: list[int], common: set[int]
) -> None:
    """Some of the same, in the same order, and any others between."""
    old = sorted({*before, *common})
    new = [*now, *(each for each in sorted(common) if each not in now)]

    def raw(numbers: list[int]) -> bytes:
        return b"".join(struct.pack("=4I", number, 0, 0, 7) for number in numbers)

    went, came = differing_records(raw(old), raw(new), 16)
    assert went == {raw([each]) for each in set(old) - set(new)}
    assert came == {raw([each]) for each in set(new) - set(old)}


@given(st.lists(st.booleans(), min_size=300, max_size=300), st.integers(0, 300))
def test_what_comes_and_goes_among_many_is_found(kept: list[bool], added: int) -> None:
    old = [number.to_bytes(8, "big") for number in range(300)]
    new = [each for each, is_kept in zip(old, kept, strict=True) if is_kept]
    new[added:added] = [b"appeared"]
    assert differing_records(b"".join(old), b"".join(new), 8) == (
        set(old) - set(new),
        {b"appeared"},
    )
