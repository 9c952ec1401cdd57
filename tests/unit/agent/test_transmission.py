"""The agent's transmission buffer: 2,048 records each 100 ms, and what finds no room is lost."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from engine.agent.transmission import CAPACITY, CAPACITY_1_7, DRAIN_NS, TransmissionBuffer


@dataclass
class Plugin:
    agent_dropped: int = 0


def test_the_newest_records_are_dropped_when_it_is_full() -> None:
    buffer, one, other = TransmissionBuffer(0), Plugin(), Plugin()
    assert buffer.put(one, 2_000, 10) == 2_000
    assert buffer.put(other, 100, 20) == 48
    assert buffer.put(one, 5, 30) == 0
    assert (one.agent_dropped, other.agent_dropped, buffer.dropped) == (5, 52, 57)


def test_five_thousand_records_at_once_leave_2048() -> None:
    buffer, plugin = TransmissionBuffer(0), Plugin()
    assert buffer.put(plugin, 5_000, 0) == CAPACITY == 2_048
    assert plugin.agent_dropped == 5_000 - 2_048


def test_it_is_emptied_every_100_ms() -> None:
    buffer, plugin = TransmissionBuffer(0), Plugin()
    assert buffer.put(plugin, CAPACITY, DRAIN_NS - 1) == CAPACITY
    assert buffer.put(plugin, 1, DRAIN_NS - 1) == 0
    assert buffer.put(plugin, CAPACITY, DRAIN_NS) == CAPACITY
    # After a pause the drains still come at multiples of 100 ms.
    assert buffer.put(plugin, CAPACITY, 10 * DRAIN_NS + 7) == CAPACITY
    assert buffer.put(plugin, 1, 11 * DRAIN_NS - 1) == 0
    assert buffer.put(plugin, 1, 11 * DRAIN_NS) == 1
    assert plugin.agent_dropped == 2


def test_the_agents_own_records_take_the_oldest_ones_place() -> None:
    buffer, plugin, agent = TransmissionBuffer(0, 3), Plugin(), Plugin()
    assert buffer.put(plugin, 3, 0) == 3
    assert buffer.put(agent, 1, 1, tolerate=False) == 0
    assert (plugin.agent_dropped, agent.agent_dropped) == (1, 0)
    # The next one replaces the one before it, which stands where the oldest stood.
    buffer.put(agent, 2, 2, tolerate=False)
    assert (plugin.agent_dropped, agent.agent_dropped, buffer.dropped) == (1, 2, 3)


def test_own_records_that_find_room_replace_nothing() -> None:
    buffer, plugin, agent = TransmissionBuffer(0), Plugin(), Plugin()
    buffer.put(plugin, 10, 0)
    assert buffer.put(agent, 5, 1, tolerate=False) == 5
    assert buffer.dropped == 0


def test_older_agents_have_more_room() -> None:
    buffer, plugin = TransmissionBuffer(0, CAPACITY_1_7), Plugin()
    assert buffer.put(plugin, 9_000, 0) == 8_192
    assert plugin.agent_dropped == 808


def reference(puts: list[tuple[int, int, int, bool]], capacity: int) -> list[int]:
    """What each sender loses if every record is put into a real list."""
    slots: list[int] = []
    lost = [0, 0, 0]
    drains = 0
    for sender, count, now_ns, tolerate in puts:
        if now_ns // DRAIN_NS > drains:
            drains = now_ns // DRAIN_NS
            slots = []
        for _ in range(count):
            if len(slots) < capacity:
                slots.append(sender)
            elif tolerate:
                lost[sender] += 1
            else:
                lost[slots[0]] += 1
                slots[0] = sender
    return lost


@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 12), st.integers(0, 60_000_000), st.booleans()),
        max_size=30,
    ),
    st.integers(1, 20),
)
def test_counts_what_a_real_buffer_would_lose(
    steps: list[tuple[int, int, int, bool]], capacity: int
) -> None:
    senders = [Plugin(), Plugin(), Plugin()]
    buffer = TransmissionBuffer(0, capacity)
    puts, now_ns = [], 0
    for sender, count, later_ns, tolerate in steps:
        now_ns += later_ns
        puts.append((sender, count, now_ns, tolerate))
        buffer.put(senders[sender], count, now_ns, tolerate=tolerate)
    assert [one.agent_dropped for one in senders] == reference(puts, capacity)
    assert buffer.dropped == sum(one.agent_dropped for one in senders)
