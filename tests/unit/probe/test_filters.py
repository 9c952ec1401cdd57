from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.probe.abi import PIDS
from engine.probe.filters import COMM_BYTES, NAMES_A_FILTER, Filters

NAMES = frozenset(f"name{number}" for number in range(NAMES_A_FILTER))


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(tgids=frozenset({1}), tids=frozenset({1, (1 << 22) - 1}), follow=True),
        Filters(comms=NAMES, excluded_comms=NAMES),
        Filters(comms=frozenset({"x" * COMM_BYTES})),
        Filters(failed_only=True, faithful=True),
    ],
)
def test_what_can_be_is_accepted(filters: Filters) -> None:
    filters.check()


@pytest.mark.parametrize(
    ("filters", "told"),
    [
        (Filters(tgids=frozenset({0})), "not a process id: 0"),
        (Filters(tids=frozenset({1 << 22})), "not a process id"),
        (Filters(tgids=frozenset(range(1, PIDS + 2))), "too many"),
        (Filters(follow=True), "nothing to follow"),
        (Filters(follow=True, tids=frozenset({1})), "nothing to follow"),
        (Filters(comms=NAMES | {"more"}), "33 names are too many"),
        (Filters(excluded_comms=NAMES | {"more"}), "33 names are too many"),
        (Filters(comms=frozenset({""})), "not a thread's name"),
        (Filters(comms=frozenset({"a\0b"})), "not a thread's name"),
    ],
)
def test_what_cannot_be_is_refused(filters: Filters, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        filters.check()


def test_a_name_longer_than_the_kernel_keeps_is_refused_with_the_one_it_has() -> None:
    with pytest.raises(UsageError, match="longer than the 15 bytes") as refused:
        Filters(excluded_comms=frozenset({"kindling-collector"})).check()
    assert refused.value.fix == "write 'kindling-collec'"
