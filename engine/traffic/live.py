"""What processes read from and write to their sockets, as segments."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from engine.core.clock import Clock
from engine.core.counters import Counters
from engine.traffic.heard import Heard, PayloadFeed
from engine.traffic.inputs import Item, Wait
from engine.traffic.packets import ACK, FIN, SYN, TCP
from engine.traffic.sockets import Socket, Sockets

PAYLOAD_CAP = 4_096
"""Bytes copied of each message; of what is longer, HTTP bodies are stepped over by their length."""

_POLL_S = 0.02
_BATCH = 2_000


@dataclass(slots=True)
class ListeningCost:
    """What listening to one process took so far."""

    payloads: int = 0
    """Messages read."""
    payload_bytes: int = 0
    """Their length, copied or not."""
    cpu_ns: int = 0
    """Time of this process spent on them: reading, parsing, plugins."""
    dropped: int = 0
    """Messages lost before they could be read."""


class LiveInput:
    """Segments of the processes that are listened to.

    Args:
        clock: The engine's clock.
        feed: Whoever listens.
    """

    label = "live"
    endless = True
    in_order = True

    def __init__(self, clock: Clock, feed: PayloadFeed) -> None:
        self._clock = clock
        self._feed = feed
        self._sockets = Sockets()
        self._lost = 0
        self._gone: deque[int] = deque()
        self._choosing = threading.Lock()
        self._chosen: frozenset[int] = frozenset()
        self._costs: dict[int, ListeningCost] = {}

    def choose(self, pids: frozenset[int]) -> None:
        """Listen to exactly these processes.

        Raises:
            BoxscopeError: if the kernel refuses.
        """
        with self._choosing:
            self._feed.choose(pids, cap=PAYLOAD_CAP)
            self._gone.extend(self._chosen - pids)
            self._costs = {pid: self._costs.get(pid) or ListeningCost() for pid in pids}
            self._chosen = pids

    def costs(self) -> Mapping[int, ListeningCost]:
        """What listening to each process took since it was chosen."""
        return {pid: self.cost_of(pid) for pid in self._costs}

    def cost_of(self, pid: int) -> ListeningCost:
        """What listening to one process took."""
        own = self._costs.get(pid) or ListeningCost()
        return replace(own, dropped=self._feed.losses().get(pid, 0))

    def lost(self) -> Counters:
        """What the kernel's ring had no room for."""
        counters = self._feed.counters()
        return Counters(counters.dropped_total, 0, counters.dropped)

    def items(self, wait: Wait) -> Iterator[Item]:
        """Segments as they come, `idle` whenever there are none."""
        stopping = False
        while True:
            began_ns = time.thread_time_ns()
            batch = self._feed.drain(_BATCH)
            lost = self._feed.counters().dropped_total
            if lost != self._lost:
                self._lost = lost
                yield "lost"
            for item in batch:
                yield from self._take(item)
            if batch:
                self._note_cost(batch, time.thread_time_ns() - began_ns)
            if len(batch) < _BATCH:
                yield from self._forget_gone()
                self._sockets.forget_idle(self._clock.wall_ns())
                yield "idle"
                if stopping:
                    return
                # What came while this waited is still read before the end.
                stopping = wait(_POLL_S)

    def _note_cost(self, batch: Sequence[Heard], spent_ns: int) -> None:
        """Share the time of a batch out; whoever reads the segments does so in this thread."""
        costs, share_ns = self._costs, spent_ns // len(batch)
        for item in batch:
            own = costs.get(item.tgid)
            if own is None:
                continue  # it was let go meanwhile
            own.cpu_ns += share_ns
            if item.kind == "data" and item.length:
                own.payloads += 1
                own.payload_bytes += item.length

    def _take(self, item: Heard) -> Iterator[Item]:
        if item.kind == "close":
            yield from self._sockets.close(item)
            return
        if item.family == "unix":
            if item.kind == "data" and item.length:
                yield "unix_socket"
            return
        held, ended = self._sockets.of(item)
        yield from ended
        if held is None:
            if item.kind == "data" and item.length:
                yield "no_address"
            return
        if item.kind == "data":
            yield from self._data(held, item)
        elif not held.silent:
            held.opened = True
            yield held.segment(item.ts_ns, SYN, sent=held.role == "connect")

    def _data(self, held: Socket, item: Heard) -> Iterator[Item]:
        sent = item.direction == "out"
        ts_ns = item.entered_ns if sent and item.entered_ns is not None else item.ts_ns
        if not item.length:
            if not sent and held.l4 == TCP and not held.silent:
                yield held.segment(ts_ns, FIN | ACK, sent=False)
            return
        held.heard += 1
        held.choose_end()
        if held.silent:
            yield "echo"
            return
        payload = b"" if item.missing else item.data
        yield held.segment(ts_ns, ACK, payload, item.length - len(payload), sent=sent)

    def _forget_gone(self) -> Iterator[Item]:
        """End what belongs to processes that are no longer listened to."""
        gone = {self._gone.popleft() for _ in range(len(self._gone))} - self._chosen
        if gone:
            yield from self._sockets.forget_processes(gone, self._clock.wall_ns())
