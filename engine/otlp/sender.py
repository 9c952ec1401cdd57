"""Sends one signal by a thread of its own, again and again until it is taken, and counts.

Everything that was to be sent is `kept`, a collector has confirmed it, or dropped:

- `engine_forgot`: it had left the engine's memory before it could be sent;
- `rejected`: the collector rejected it out of a request that it took;
- `refused`: the collector refused the request and does not want it again;
- `too_large`: it alone was larger than the collector takes, or could not be encoded;
- `gave_up`: it was not taken for as long as is tried;
- `not_sent`: the end came first;
- `no_answer`: the end came before the answer to its request: it may have arrived.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from engine.core.counters import Counters, Tally
from engine.otlp.answers import Answer
from engine.otlp.lots import Feed, Lot
from engine.otlp.post import Post

T = TypeVar("T")

INTERVAL_S = 1.0
"""Between two looks for something to send."""
FIRST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_ASKED_S = 0.5, 10.0, 60.0
"""Between two attempts: at first, doubled up to so much; so much at most if the collector asks."""
_GRACE_S = 0.25
"""How much longer than its deadline a thread is waited for."""


class Sender(Generic[T]):
    """One signal on its way to a collector.

    Args:
        name: The signal.
        feed: Where lots come from.
        post: Sends them.
        retry_s: How long a lot is sent again.
        tell: Called by the sender's thread when requests are no longer taken, with the reason, and
            when they are again, with none.
    """

    def __init__(
        self,
        name: str,
        feed: Feed[T],
        post: Post[T],
        retry_s: float,
        tell: Callable[[str, str], None],
    ) -> None:
        self.name = name
        self.trouble = ""
        """Why the last request was not taken whole; empty if it was."""
        self.failure = ""
        """What ended the thread, if something did."""
        self._feed = feed
        self._post = post
        self._retry_s = retry_s
        self._tell = tell
        self._tally = Tally()
        self._lock = threading.Lock()
        self._held = 0
        self._abandoned = False
        self._stopping = threading.Event()
        self._never = threading.Event()
        self._random = random.Random()
        self._deadline = 0.0
        self._in_vain = False
        self._absent = False
        self._thread = threading.Thread(target=self._run, name=f"boxscope-otlp-{name}", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop_by(self, deadline: float) -> None:
        """Have what is left sent by a moment of the monotonic clock; returns at once."""
        self._deadline = deadline
        self._stopping.set()

    def finish(self) -> None:
        """Wait for the end of that and count what was not sent."""
        self._thread.join(max(0.0, self._deadline + _GRACE_S - time.monotonic()))
        with self._lock:
            self._abandoned = True
            left = self._feed.waiting()
            self._add(self._held, 0, "no_answer")
            self._add(left, 0, "not_sent")
            self._held = 0
        self._post.close()

    def counters(self) -> Counters:
        """What was to be sent, and what became of it."""
        return self._tally.read()

    def waiting(self) -> int:
        """How many are to be sent yet."""
        return self._held + self._feed.waiting()

    # The thread.

    def _run(self) -> None:
        try:
            while not self._stopping.wait(INTERVAL_S):
                self._send_what_is_new()
            self._send_what_is_new()
        except Exception as error:  # a bug here must not leave the export looking alive
            self.failure = f"{type(error).__name__}: {error}"
            self._count_dropped(self._held, "not_sent")

    def _send_what_is_new(self) -> None:
        while not self._over():
            with self._lock:
                if self._abandoned:
                    return
                lot = self._feed.take(last=self._stopping.is_set())
                if lot is None:
                    return
                self._held = lot.size
                self._add(lot.forgotten, 0, "engine_forgot")
            if lot.size:
                self._deliver(lot.items, lot)

    def _deliver(self, items: Sequence[T], lot: Lot[T]) -> None:
        """Send some of a lot; what is too large for one request in halves."""
        size = self._feed.size_of(items)
        answer = self._insist(items, size)
        match answer.verdict:
            case "taken":
                lag_ms = max(0.0, time.time_ns() - lot.newest_ns) / 1e6
                self._count(size, size - answer.rejected, "rejected", lag_ms)
            case "refused":
                self._count_dropped(size, "refused")
            case "busy":
                self._count_dropped(size, "not_sent" if self._stopping.is_set() else "gave_up")
            case "too_large" if len(items) == 1:
                self._count_dropped(size, "too_large")
            case "too_large":
                middle = len(items) // 2
                self._deliver(items[:middle], lot)
                self._deliver(items[middle:], lot)

    def _insist(self, items: Sequence[T], size: int) -> Answer:
        """Send until there is a final answer, or no more time; the last answer is returned."""
        began, pause = time.monotonic(), FIRST_PAUSE_S
        while True:
            if self._over():
                return Answer("busy", self.trouble)
            left = self._deadline - time.monotonic() if self._stopping.is_set() else None
            answer = self._post.send(items, size, left)
            in_vain = self._note(answer, in_pieces=len(items) > 1)
            if answer.verdict != "busy":
                return answer
            if in_vain and left is not None:
                self._in_vain = True
                return answer
            wait = pause * self._random.uniform(0.8, 1.2)
            if answer.pause_s is not None:
                wait = min(answer.pause_s, LONGEST_ASKED_S)
            if time.monotonic() + wait - began > self._retry_s and not self._stopping.is_set():
                return answer
            pause = min(pause * 2, LONGEST_PAUSE_S) if self._pause(wait) else FIRST_PAUSE_S

    def _note(self, answer: Answer, *, in_pieces: bool) -> bool:
        """Keep why a request was not taken whole; returns whether that of before was not at all.

        Args:
            answer: What was answered.
            in_pieces: Whether what is too large is sent in pieces.
        """
        before, fine = self._absent, answer.verdict == "taken"
        fine |= in_pieces and answer.verdict == "too_large"
        self.trouble = _told(answer) if not in_pieces or answer.verdict != "too_large" else ""
        self._absent = not fine
        if before == fine:  # it has changed
            self._tell(self.name, "" if fine else self.trouble)
        return before

    def _pause(self, wait_s: float) -> bool:
        """Wait; the end cuts it short, once: what is left is then sent without delay.

        Returns:
            Whether it was waited so long.
        """
        if not self._stopping.is_set():
            return not self._stopping.wait(wait_s)
        self._never.wait(max(0.0, min(wait_s, self._deadline - time.monotonic())))
        return True

    def _over(self) -> bool:
        """Whether it is the end and nothing more is to be sent.

        A collector that did not answer before the end either is asked once more, no longer.
        """
        return self._stopping.is_set() and (self._in_vain or time.monotonic() >= self._deadline)

    # Counting; what is counted after the end was given up is not counted twice.

    def _count(self, size: int, kept: int, reason: str, lag_ms: float | None = None) -> None:
        with self._lock:
            if not self._abandoned:
                self._held -= size
                self._add(size, kept, reason, lag_ms)

    def _count_dropped(self, size: int, reason: str) -> None:
        self._count(size, 0, reason)

    def _add(self, seen: int, kept: int, reason: str, lag_ms: float | None = None) -> None:
        self._tally.add(seen=seen, kept=kept, dropped={reason: seen - kept}, lag_ms=lag_ms)


def _told(answer: Answer) -> str:
    """What is to be said of an answer; nothing if all was taken."""
    if answer.verdict != "taken":
        return answer.reason
    if answer.rejected:
        return f"{answer.rejected} rejected: {answer.reason}".removesuffix(": ")
    return ""
