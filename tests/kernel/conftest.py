"""Real kernel, real programs: one probe for all tests, switched clean after each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import RequirementError
from engine.core.records import Record
from engine.core.source import Logbook
from engine.probe import preflight
from engine.probe.catalogue import EVENTS
from engine.probe.filters import Filters
from engine.probe.payload_abi import PAYLOAD_RING_BYTES
from engine.probe.probe import RING_BYTES, KernelProbe
from tests.kernel.actor import Actor

READY_S = 60.0


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where a right or BCC is missing, naming which."""
    if item.get_closest_marker("kernel") is None:
        return
    try:
        preflight.check()
    except RequirementError as missing:
        pytest.skip(str(missing))


def new_probe(
    *, ring_bytes: int = RING_BYTES, payload_ring_bytes: int = PAYLOAD_RING_BYTES
) -> KernelProbe:
    """A probe that is not started."""
    clock = SystemClock()
    return KernelProbe(
        clock, Logbook(clock), ring_bytes=ring_bytes, payload_ring_bytes=payload_ring_bytes
    )


class Watch:
    """A running probe and what it has delivered since the watch began."""

    def __init__(self, probe: KernelProbe) -> None:
        self.probe = probe
        probe.drain()  # what an earlier test left
        self.since = probe.rings["kernel_event"].last_seq

    def subscribe(self, *events: str) -> None:
        """Subscribe `NAME[:CATEGORY]`."""
        for event in events:
            name, _, category = event.partition(":")
            self.probe.subscribe(name, category)

    def restart(self) -> None:
        """Forget what was delivered so far."""
        self.probe.drain()
        self.since = self.probe.rings["kernel_event"].last_seq

    def records(self, **wanted: object) -> list[Record]:
        """Everything delivered up to now whose fields, or else attributes, have these values."""
        self.probe.drain()
        batch = self.probe.rings["kernel_event"].since(self.since, 1_000_000)
        assert batch.missed == 0
        return [record for record in batch.records if _matches(record, wanted)]


def attributes(record: Record) -> dict[str, Any]:
    """The attributes of a kernel event."""
    value = record.get("attributes")
    assert isinstance(value, dict)
    return value


def _matches(record: Record, wanted: dict[str, object]) -> bool:
    return all(value_of(record, name) == value for name, value in wanted.items())


def value_of(record: Record, name: str) -> object:
    """A field, or the attribute of that name."""
    shown = record.as_json()
    return shown[name] if name in shown else attributes(record).get(name)


@pytest.fixture(scope="session")
def running_probe() -> Iterator[KernelProbe]:
    """One probe for the whole session: compiling takes a while."""
    probe = new_probe()
    probe.start()
    assert probe.wait_ready(READY_S), probe.status()
    yield probe
    probe.stop()


@pytest.fixture
def watch(running_probe: KernelProbe) -> Iterator[Watch]:
    """The running probe with nothing subscribed and no scope."""
    yield Watch(running_probe)
    for event in EVENTS:
        running_probe.unsubscribe(event.name)
    running_probe.set_filters(Filters())


@pytest.fixture
def actor() -> Iterator[Actor]:
    """A process that does what it is told."""
    with Actor() as one:
        yield one
