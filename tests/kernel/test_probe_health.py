"""What the probe tells about itself."""

from __future__ import annotations

import os

import pytest

from engine.core.errors import ProbeError
from engine.probe.kernel_maps import EventCounters
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch, new_probe
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

PAGE = os.sysconf("SC_PAGESIZE")


def test_every_events_deliveries_and_losses_add_up_to_what_was_produced(actor: Actor) -> None:
    probe = new_probe(ring_bytes=PAGE)
    probe.set_pids(frozenset({actor.pid}))
    for event in ("syscall_enter-write", "syscall_exit-write"):
        probe.subscribe(event)
    probe.start()
    try:
        assert probe.wait_ready(READY_S), probe.status()
        actor.do("write_null", 20_000)
        probe.drain()
        running = probe.event_counters()
    finally:
        probe.stop()
    events = probe.event_counters()
    some = {name: event for name, event in events.items() if event != EventCounters(0, 0)}
    assert set(some) == {"syscall_enter-write", "syscall_exit-write"}
    assert all(event.dropped for event in some.values())
    counters = probe.counters()
    assert counters.kept == sum(event.delivered for event in some.values())
    assert counters.dropped == {"ring_full": sum(event.dropped for event in some.values())}
    assert counters.seen == probe.kernel_counters().produced
    assert running["syscall_exit-write"].dropped <= some["syscall_exit-write"].dropped


def test_the_rings_fill_and_the_age_of_its_oldest_event_are_told(
    watch: Watch, actor: Actor
) -> None:
    watch.probe.set_pids(frozenset({actor.pid}))
    watch.subscribe("syscall_exit-write:file")
    seen = watch.probe.health()
    assert seen.ring_fill <= 1
    actor.tell("write_null", 2_000_000)

    def told() -> bool:
        health = watch.probe.health()
        return 0 < health.ring_fill <= health.ring_peak <= 1 and 0 < health.oldest_ms < 10_000

    wait_until(told)
    wait_until(lambda: 0 < watch.probe.health().reader_cpu < 1.1)
    actor.answer()


def test_programs_are_timed_only_while_asked(watch: Watch, actor: Actor) -> None:
    watch.probe.set_pids(frozenset({actor.pid}))
    watch.subscribe("syscall_exit-write:file")
    actor.do("write_null", 1_000)
    assert watch.probe.program_costs() == {}
    assert watch.probe.health().programs_cpu is None
    before = set(os.listdir("/proc/self/fd"))
    watch.probe.time_programs(True)
    watch.probe.time_programs(True)
    actor.do("write_null", 10_000)
    costs = watch.probe.program_costs()
    assert costs["on_sys_exit"].runs >= 10_000
    # The programs run for everybody's calls; ours alone take this much.
    assert costs["on_sys_exit"].run_ns > 10_000 * 20
    assert costs["on_tcp_state"] == (0, 0)
    actor.tell("write_null", 2_000_000)
    wait_until(lambda: (watch.probe.health().programs_cpu or 0) > 0)
    actor.answer()
    watch.probe.time_programs(False)
    assert watch.probe.program_costs() == {}
    assert set(os.listdir("/proc/self/fd")) == before


def test_a_probe_that_does_not_run_has_nothing_to_time() -> None:
    probe = new_probe()
    with pytest.raises(ProbeError, match="no kernel programs"):
        probe.time_programs(True)
    assert probe.program_costs() == {}
    assert probe.event_counters() == {}
