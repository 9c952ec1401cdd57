"""The ingest thread: fair to every plugin, and never brought down by one."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.agent import compiled
from engine.agent.compiled import CompiledSlab
from engine.agent.faults import SHOWN_PER_SECOND
from engine.agent.host import PluginHost
from engine.agent.transmission import AGENT_BUFFER_FULL, CAPACITY
from engine.agent.wire import FAULT_BYTES, READ_BYTES, frame
from tests.unit.agent.pipes import Channel, Channels, ingest_thread
from tests.unit.agent.support import (
    DEADLINE_S,
    log_text,
    raw_plugin,
    record_frame,
    records,
    row,
    running_host,
    wait_for_state,
)
from tests.waiting import wait_until

KIB = 1024


class StoppedClock:
    """Between two drains of the agent's buffer; no time passes."""

    def monotonic_ns(self) -> int:
        return 1_000_000_000

    def wall_ns(self) -> int:
        return 1_700_000_000_000_000_000


def fault_rows(host: PluginHost) -> list[dict[str, object]]:
    return [dict(one.as_json()) for one in host.rings["plugin_fault"].since(0, 5_000).records]


# Pipes.


def test_the_pipes_are_the_smaller_the_more_there_are() -> None:
    with ingest_thread() as (_, thread):
        few, many = Channels(thread), Channels(thread)
        first = few.add("first")
        wait_until(lambda: first.capacity() == 1024 * KIB)
        eight = [few.add(f"one-of-8-{number}") for number in range(8)]
        wait_until(lambda: {one.capacity() for one in (first, *eight)} == {256 * KIB})
        others = [many.add(f"one-of-56-{number}") for number in range(56)]
        wait_until(lambda: {one.capacity() for one in (first, *eight, *others)} == {64 * KIB})
        many.end()
        wait_until(lambda: {one.capacity() for one in (first, *eight)} == {256 * KIB})
        few.end()


def fill(channel: Channel, size: int) -> int:
    """Fill a pipe that is not read yet; returns how many records that was."""
    fcntl.fcntl(channel.writer, fcntl.F_SETPIPE_SZ, size)
    one = record_frame({"pad": "x" * 100})
    channel.write(one * (size // len(one)))
    return size // len(one)


def test_a_plugin_with_a_full_pipe_does_not_go_first_for_long() -> None:
    with ingest_thread() as (host, thread):
        channels = Channels(thread)
        flood, modest = (channels.add(name, adopted=False) for name in ("flood", "modest"))
        sent = fill(flood, 2 * READ_BYTES)
        modest.write(record_frame({"n": "1"}))
        channels.adopt(flood, modest)
        channels.wait_read()
        wait_until(lambda: host.counters().seen == sent + 1)
        (number,) = (
            record.seq
            for record in host.rings["plugin_record"].since(0, sent + 1).records
            if record.get("plugin") == "modest"
        )
        assert number <= sent // 2 + 1
        channels.end()


def test_plugins_whose_pipes_have_kept_another_size_are_read_alike() -> None:
    with ingest_thread() as (host, thread):
        channels = Channels(thread)
        # Pipes that hold more than their new size cannot shrink.
        large, small = (channels.add(name, adopted=False) for name in ("large", "small"))
        rest = [channels.add(f"idle-{number}", adopted=False) for number in range(64)]
        sent = fill(large, 1024 * KIB) + fill(small, 64 * KIB)
        channels.adopt(large, small, *rest)
        channels.wait_read()
        wait_until(lambda: host.counters().seen == sent)
        taken = [one.get("plugin") for one in host.rings["plugin_record"].since(0, sent).records]
        assert taken.index("small") <= 64 * KIB // len(record_frame({"pad": "x" * 100}))
        channels.end()


# Floods.


def flood_until(channel: Channel, reached: Callable[[], object]) -> None:
    """Send records as fast as they are taken until a condition holds."""
    block = record_frame({"pad": "x" * 100}) * 4_000
    end = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < end
        channel.write(block)


def test_a_flood_is_read_by_the_compiled_loop_and_nothing_is_lost() -> None:
    with ingest_thread() as (host, thread):
        channels = Channels(thread)
        channel = channels.add("flood")
        wait_until(lambda: channel.capacity() == 1024 * KIB)
        flood_until(channel, lambda: isinstance(thread._slab, CompiledSlab))
        for _ in range(20):
            channel.write(record_frame({"pad": "x" * 100}) * 4_000)
        channels.wait_read()
        channels.end()
        assert channel.run.tx_count % 4_000 == 0
        assert channel.run.tx_count >= 20 * 4_000
        assert channel.run.dropped == {}
        assert host.counters().kept == channel.run.tx_count


def test_a_flood_is_read_on_if_the_loop_cannot_be_compiled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: CompiledSlab) -> None:
        raise RuntimeError("no memory for code")

    monkeypatch.setattr(compiled.CompiledSlab, "__init__", fail)
    with ingest_thread() as (host, thread):
        channels = Channels(thread)
        channel = channels.add("flood")
        wait_until(lambda: channel.capacity() == 1024 * KIB)
        flood_until(channel, lambda: "read slower: no memory for code" in log_text(host))
        channels.wait_read()
        channels.end()
        assert host.counters().kept == channel.run.tx_count


# Faults.


def test_faults_are_shown_with_their_bytes(tmp_path: Path) -> None:
    good = record_frame({"n": "1"})
    over_long = (9 << 20).to_bytes(4, "little") + good[4:].ljust(9 << 20, b"\0")
    stream = good + frame(b"") + good + over_long + good + good[:-3]
    with running_host() as host:
        host.load(raw_plugin(tmp_path, "hostile", stream))
        wait_for_state(host, "hostile", "exited")
        shown = fault_rows(host)
        pid = row(host, "hostile")["pid"]
    assert [(one["reason"], one["length"]) for one in shown] == [
        ("zero_length", 0),
        ("over_long", 9 << 20),
        ("truncated", len(good) - 4),
    ]
    assert {(one["plugin"], one["pid"]) for one in shown} == {("hostile", pid)}
    found = [bytes.fromhex(str(one["bytes"])) for one in shown]
    assert found[0].startswith(bytes(4))
    assert found[1] == over_long[:FAULT_BYTES]
    assert found[2] == good[:-3]
    told = [str(one["agent_reading"]) for one in shown]
    assert "found no payload, eaten 5 bytes of the next frame" in told[0]
    assert "takes any length, would have read this as data_type 7000, timestamp 1" in told[1]
    assert "its end missing" in told[2]


def test_a_lost_stream_is_shown_with_the_bytes_it_was_lost_at(tmp_path: Path) -> None:
    with running_host() as host:
        host.load(raw_plugin(tmp_path, "web", record_frame({}) + b"GET / HTTP/1.1\r\n"))
        wait_for_state(host, "web", "failed")
        (shown,) = fault_rows(host)
    assert (shown["reason"], shown["length"]) == ("lost_sync", 0x20544547)
    assert bytes.fromhex(str(shown["bytes"])) == b"GET / HTTP/1.1\r\n"
    assert "waited for 542393671 bytes" in str(shown["agent_reading"])


def test_a_flood_of_faults_is_counted_whole_and_shown_in_part() -> None:
    with ingest_thread(host_clock=StoppedClock()) as (host, thread):
        channels = Channels(thread)
        channel = channels.add("hostile")
        for _ in range(50):
            channel.write(bytes(40_000))
        channel.write(record_frame({"n": "1"}))
        channels.wait_read()
        channels.end()
        assert channel.run.dropped == {"zero_length": 500_000}
        assert channel.run.tx_count == 500_001
        assert len(fault_rows(host)) == SHOWN_PER_SECOND
        assert records(host)[0]["fields"] == {"n": "1"}


# The agent's transmission buffer.


NUMBERED = [record_frame({"n": str(number)}) for number in range(5_000)]


def test_what_an_agent_would_have_dropped_is_counted_and_kept() -> None:
    with ingest_thread(host_clock=StoppedClock()) as (host, thread):
        channels = Channels(thread)
        channel = channels.add("burst")
        channel.write(b"".join(NUMBERED))
        channels.wait_read()
        channels.end()
        assert channel.run.agent_dropped == host.agent_dropped == 5_000 - CAPACITY
        counters = host.counters()
        assert (counters.kept, dict(counters.dropped)) == (5_000, {})
        assert channel.run.plugin.row(0, 0).get("agent_dropped") == 5_000 - CAPACITY


def test_a_faithful_host_drops_what_an_agent_would_have_dropped() -> None:
    with ingest_thread(host_clock=StoppedClock(), faithful=True) as (host, thread):
        channels = Channels(thread)
        channel = channels.add("burst")
        channel.write(b"".join(NUMBERED))
        channels.wait_read()
        channels.end()
        counters = host.counters()
        assert (counters.seen, counters.kept) == (5_000, CAPACITY)
        assert dict(counters.dropped) == {AGENT_BUFFER_FULL: 5_000 - CAPACITY}
        assert channel.run.dropped == {AGENT_BUFFER_FULL: 5_000 - CAPACITY}
        assert channel.run.tx_count == 5_000
        assert channel.run.tx_bytes == sum(len(one) - 4 for one in NUMBERED)
        kept = [one["fields"]["n"] for one in records(host)]
        assert kept == [str(number) for number in range(CAPACITY)]
        assert "more records than an agent's buffer takes" in log_text(host)


def test_the_buffer_of_older_agents_takes_more() -> None:
    with ingest_thread(host_clock=StoppedClock(), faithful=True, agent_buffer=8_192) as (
        host,
        thread,
    ):
        channels = Channels(thread)
        channels.add("burst").write(b"".join(NUMBERED))
        channels.wait_read()
        channels.end()
        assert (host.counters().kept, host.agent_dropped) == (5_000, 0)
