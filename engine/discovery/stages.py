"""Stages in a row, joined by bounded queues of event batches.

A stage that falls behind loses no state: when its queue is full, what waits there is superseded
and the stage catches up with what its predecessor knows as a whole. Only the steps in between
are lost, and counted (`superseded`).

A stage works in its own thread once started; without it, or beside it, `pump` does the waiting
work in the thread that calls it.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

from engine.core.counters import Counters, Tally
from engine.core.errors import BoxscopeError
from engine.discovery.observed import Event, Keyed

QUEUE_BATCHES = 50
_RETRY_S = 1.0

In = TypeVar("In", bound=Keyed)
Out = TypeVar("Out", bound=Keyed)


class Inbox(Generic[In]):
    """A bounded queue of batches, between one stage and the next."""

    def __init__(self, capacity: int = QUEUE_BATCHES) -> None:
        self.overflows = 0
        """How often it was full."""
        self._capacity = capacity
        self._batches: list[Sequence[Event[In]]] = []
        self._overflowed = self._closed = False
        self._changed = threading.Condition()

    def put(self, batch: Sequence[Event[In]]) -> int:
        """Add a batch, never waiting; returns how many events were superseded by that."""
        with self._changed:
            superseded = 0
            if len(self._batches) >= self._capacity or self._overflowed:
                superseded = sum(map(len, self._batches)) + len(batch)
                self.overflows += not self._overflowed
                self._overflowed = True
                self._batches.clear()
            else:
                self._batches.append(batch)
            self._changed.notify()
            return superseded

    def take(self) -> tuple[list[Event[In]], bool]:
        """Everything that waits, and whether more than that must be caught up with."""
        with self._changed:
            events = [event for batch in self._batches for event in batch]
            overflowed, self._overflowed = self._overflowed, False
            self._batches.clear()
            return events, overflowed

    def wait(self) -> bool:
        """Wait until there is something to take; False once it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._batches or self._overflowed or self._closed)
            return not self._closed

    def mark_behind(self) -> None:
        """Have the next taker catch up."""
        with self._changed:
            self._overflowed = True

    def wait_closed(self, timeout_s: float) -> None:
        """Wait that long, or until it is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed, timeout_s)

    def set_closed(self, closed: bool) -> None:
        """End the waiting, or allow it again."""
        with self._changed:
            self._closed = closed
            self._changed.notify_all()


class Stage(ABC, Generic[In, Out]):
    """One stage: takes events in, tells the next one what came of them.

    Events are taken in by what they tell, not by what they are called: what is `created` but
    known is changed, and so on. So a batch that was already caught up with does no harm.

    Args:
        name: Name of its thread.
        upstream: All that the stage before knows, by key.
        capacity: Batches its queue holds.
    """

    def __init__(
        self,
        name: str,
        upstream: Callable[[], Mapping[int, In]],
        capacity: int = QUEUE_BATCHES,
    ) -> None:
        self.name = name
        self.told: Mapping[int, Out] = {}
        """All it told the next stage, by key; replaced, never changed."""
        self.emit: Callable[[Sequence[Event[Out]]], None] = lambda _: None
        """Where its events go."""
        self.report: Callable[[Exception], None] = lambda _: None
        """Told why its thread could not work; it tries again a second later."""
        self._upstream = upstream
        self._inbox = Inbox[In](capacity)
        self._tally = Tally()
        self._known: dict[int, In] = {}
        self._working = threading.RLock()
        self._thread: threading.Thread | None = None

    @abstractmethod
    def handle(self, event: Event[In]) -> tuple[Out | None, str]:
        """Decide what comes of one event that is not `deleted`.

        Returns:
            What the next stage is to know, or None and the reason, for the counters.
        """

    def forget(self, item: In) -> None:
        """Called when something has gone."""

    @property
    def counters(self) -> Counters:
        """Events taken in; kept are those whose subject the next stage knows or knew."""
        return self._tally.read()

    @property
    def resyncs(self) -> int:
        """How often the queue was full and the stage had to catch up."""
        return self._inbox.overflows

    def put(self, batch: Sequence[Event[In]]) -> None:
        """Hand it a batch; returns at once."""
        superseded = self._inbox.put(batch)
        if superseded:
            self._tally.add(seen=superseded, kept=0, dropped={"superseded": superseded})

    def pump(self) -> None:
        """Do the work that waits. If that fails, the next time catches up with everything.

        Raises:
            OSError: if something that is needed cannot be read.
        """
        with self._working:
            events, behind = self._inbox.take()
            before = dict(self._known)
            try:
                if behind:
                    # Read after the queue was emptied: what it held is part of this, or older.
                    events = list(self._catch_up(self._upstream()))
                self._work(events)
            except BaseException:
                self._known = before
                self._inbox.mark_behind()
                raise

    def reconsider(self) -> None:
        """Handle everything known anew, because what is decided by has changed."""
        with self._working:
            self.pump()
            self._work([Event("changed", item) for item in self._known.values()])

    def start(self) -> None:
        """Begin to work in a thread."""
        if self._thread is None:
            self._inbox.set_closed(False)
            self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Finish what is being done, and join the thread."""
        self._inbox.set_closed(True)
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        while self._inbox.wait():
            try:
                self.pump()
            except (BoxscopeError, OSError) as failure:
                self.report(failure)
                self._inbox.wait_closed(_RETRY_S)

    def _work(self, events: Sequence[Event[In]]) -> None:
        if not events:
            return
        out: list[Event[Out]] = []
        dropped: dict[str, int] = {}
        told = dict(self.told)
        for event in self._as_it_is(events):
            reason = self._take_in(event, told, out)
            if reason:
                dropped[reason] = dropped.get(reason, 0) + 1
        lost = sum(dropped.values())
        self._tally.add(seen=len(events), kept=len(events) - lost, dropped=dropped)
        if out:
            self.told = told
            self.emit(out)

    def _take_in(self, event: Event[In], told: dict[int, Out], out: list[Event[Out]]) -> str:
        """Work on one event; returns why nothing came of it, if so."""
        key = event.item.key
        before = told.get(key)
        result, reason = None, ""
        if event.change == "deleted":
            self.forget(event.item)
        else:
            result, reason = self.handle(event)
        if result is not None:
            told[key] = result
            if result != before:
                out.append(Event("created" if before is None else "changed", result))
            return ""
        if before is not None:
            out.append(Event("deleted", told.pop(key)))
            return ""
        return reason

    def _as_it_is(self, events: Iterable[Event[In]]) -> Iterator[Event[In]]:
        """The events as they look from what this stage knows."""
        for event in events:
            key, old = event.item.key, self._known.get(event.item.key)
            if old is not None and (
                event.change == "deleted" or old.identity != event.item.identity
            ):
                yield Event("deleted", self._known.pop(key))
                old = None
            if event.change != "deleted":
                self._known[key] = event.item
                yield Event("created" if old is None else "changed", event.item)

    def _catch_up(self, state: Mapping[int, In]) -> Iterator[Event[In]]:
        for key in self._known.keys() - state.keys():
            yield Event("deleted", self._known[key])
        for key, item in state.items():
            if self._known.get(key) != item:
                yield Event("created", item)
