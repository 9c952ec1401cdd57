"""Ten thousand hostile streams, cut anywhere, through the real ingest thread.

What comes out is compared with an oracle that reads the whole stream byte by byte. Each stream
is followed on the same thread by a proper one, which must not notice.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from engine.agent import compiled, ingest, wire
from engine.agent.compiled import CompiledSlab
from engine.agent.host import PluginHost
from engine.agent.wire import LOST_SYNC, OVER_LONG, TRUNCATED, ZERO_LENGTH, Slab, frame
from tests.unit.agent.pipes import Channels, ingest_thread
from tests.unit.agent.support import record_frame
from tests.values import json_of

SEED = 20_261_120
STREAMS = 5_000
"""Hostile ones through each kind of slab, and as many proper ones."""
AT_A_TIME = 50
MAX_FRAME = wire.SLAB_BYTES
PIECES = 6


@dataclass
class Outcome:
    """What is to come out of a stream."""

    kept: list[bytes] = field(default_factory=list)
    dropped: dict[str, int] = field(default_factory=dict)
    sent_bytes: int = 0
    lost_sync: int = 0
    faults: list[tuple[str, int | None, int]] = field(default_factory=list)
    """Reason, announced length, where it begins."""

    def lose(self, reason: str, length: int | None, size: int, position: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
        self.sent_bytes += size
        self.faults.append((reason, length, position))


def oracle(stream: bytes) -> Outcome:
    """Read a stream from its beginning to its end."""
    outcome, position = Outcome(), 0
    while position < len(stream):
        head = stream[position : position + 4]
        if len(head) < 4:
            outcome.lose(TRUNCATED, None, 0, position)
            break
        length = int.from_bytes(head, "little")
        body = stream[position + 4 : position + 4 + length]
        if length > wire.LOST_SYNC_LENGTH:
            outcome.lose(LOST_SYNC, length, 0, position)
            outcome.lost_sync = length
            break
        if length > MAX_FRAME:
            outcome.lose(OVER_LONG, length, length, position)
        elif len(body) < length:
            outcome.lose(TRUNCATED, length, len(body), position)
        elif not length:
            outcome.lose(ZERO_LENGTH, 0, 0, position)
        else:
            outcome.kept.append(body)
            outcome.sent_bytes += length
        position += 4 + length
    return outcome


def proper_frame(chance: random.Random) -> bytes:
    fields = {f"k{number}": "x" * chance.randrange(60) for number in range(chance.randrange(4))}
    return record_frame(fields, chance.randrange(1, 9_000), chance.randrange(1, 2_000_000_000))


def hostile_piece(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.45:
        return proper_frame(chance)
    if kind < 0.60:
        return frame(chance.randbytes(chance.randrange(1, 40)))
    if kind < 0.75:
        return bytes(4 * chance.randrange(1, 4))
    if kind < 0.85:
        return chance.randbytes(chance.randrange(1, 12))
    if kind < 0.90:
        return chance.randrange(1, 300).to_bytes(4, "little") + chance.randbytes(
            chance.randrange(9)
        )
    if kind < 0.93:
        return chance.randrange(MAX_FRAME + 1, 1 << 26).to_bytes(4, "little")
    if kind < 0.95:
        return chance.randrange(1 << 26, 1 << 32).to_bytes(4, "little")
    if kind < 0.99:
        return frame(bytes(chance.randrange(200, 3_000)))
    if kind < 0.998:
        return frame(bytes(chance.randrange(wire.LARGE_FRAME - 2, wire.LARGE_FRAME * 2)))
    return frame(bytes(MAX_FRAME + chance.randrange(1, 5)))


def hostile_stream(chance: random.Random) -> bytes:
    stream = b"".join(hostile_piece(chance) for _ in range(chance.randrange(1, 12)))
    if chance.random() < 0.4:
        return stream[: chance.randrange(len(stream) + 1)]
    return stream


def cut(chance: random.Random, stream: bytes) -> list[bytes]:
    """The stream in some pieces, often of a byte or two; the pieces may be empty."""
    edges = [chance.randrange(len(stream) + 1) for _ in range(PIECES - 3)]
    edges += [min(len(stream), edges[0] + 1), min(len(stream), edges[0] + 3)]
    ordered = [0, *sorted(edges), len(stream)]
    return [stream[begin:end] for begin, end in pairwise(ordered)]


def received(host: PluginHost, seq: int) -> dict[str, list[bytes]]:
    """The bodies that came after number `seq`, by plugin."""
    store = host.rings["plugin_record"]
    batch = store.since(seq, store.last_seq)
    assert not batch.missed
    bodies: dict[str, list[bytes]] = {}
    for record in batch.records:
        body = host.raw(record.seq)
        assert body is not None
        bodies.setdefault(str(record.get("plugin")), []).append(body)
    return bodies


def shown_faults(host: PluginHost, seq: int) -> dict[str, list[tuple[str, int | None, bytes]]]:
    found: dict[str, list[tuple[str, int | None, bytes]]] = {}
    for record in host.rings["plugin_fault"].since(seq, 5_000).records:
        shown = json_of(record)
        assert shown["agent_reading"]
        one = (shown["reason"], shown["length"], bytes.fromhex(str(shown["bytes"])))
        found.setdefault(str(shown["plugin"]), []).append(one)
    return found


@pytest.mark.parametrize(("kind", "seed"), [(Slab, SEED), (CompiledSlab, SEED + 1)])
def test_every_stream_comes_out_as_the_oracle_says(
    kind: type[Slab], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Naps only cost time here; and the compiled loop is to see short slabs too.
    monkeypatch.setattr(ingest, "SHORTEST_NAP_S", 1_000)
    monkeypatch.setattr(compiled, "MANY_FRAMES", 0)
    chance = random.Random(seed)
    with ingest_thread(kind()) as (host, thread):
        for first in range(0, STREAMS, AT_A_TIME):
            streams: dict[str, bytes] = {}
            for number in range(first, first + AT_A_TIME):
                streams[f"hostile-{number}"] = hostile_stream(chance)
                streams[f"good-{number}"] = b"".join(proper_frame(chance) for _ in range(3))
            play(chance, host, thread, streams)


def play(
    chance: random.Random, host: PluginHost, thread: ingest.Ingest, streams: dict[str, bytes]
) -> None:
    """Write the streams side by side, piece by piece, and compare what has come of them."""
    records_before = host.rings["plugin_record"].last_seq
    faults_before = host.rings["plugin_fault"].last_seq
    channels = Channels(thread)
    opened = {name: channels.add(name, MAX_FRAME) for name in streams}
    pieces = {name: cut(chance, stream) for name, stream in streams.items()}
    for step in range(PIECES):
        for name, channel in opened.items():
            channel.write(pieces[name][step])
        channels.wait_read()
    channels.end()
    bodies = received(host, records_before)
    faults = shown_faults(host, faults_before)
    for name, stream in streams.items():
        run, wanted = opened[name].run, oracle(stream)
        context = f"{name}: {stream[:200].hex()}"
        assert bodies.get(name, []) == wanted.kept, context
        assert run.dropped == wanted.dropped, context
        assert run.tx_count == len(wanted.kept) + sum(wanted.dropped.values()), context
        assert run.tx_bytes == wanted.sent_bytes, context
        assert run.lost_sync == wanted.lost_sync, context
        check_faults(stream, wanted, faults.get(name, []), context)
        if name.startswith("good"):
            assert len(wanted.kept) == 3
            assert not wanted.dropped


def check_faults(
    stream: bytes, wanted: Outcome, shown: list[tuple[str, int | None, bytes]], context: str
) -> None:
    """Every fault is shown, with the bytes that stand there, unless there are very many."""
    if len(wanted.faults) > wire.FAULTS_SHOWN:
        assert len(shown) >= wire.FAULTS_SHOWN, context
        return
    assert [one[:2] for one in shown] == [one[:2] for one in wanted.faults], context
    for (_, _, head), (_, _, position) in zip(shown, wanted.faults, strict=True):
        assert stream[position:].startswith(head), context
        assert head, context
