"""One thread for all pipes of all plugins: reads records, writes tasks, notices deaths.

Reading is level-triggered, at most one read per plugin and turn. After a turn that brought
little the thread naps, so that many plugins with a record now and then cost few wake-ups;
while a pipe has much to offer it never does.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.agent.plugin import Run
from engine.agent.wire import SLAB_BYTES, Frames
from engine.core.clock import Clock

TICK_S = 0.5
NAP_S = 0.010
NAP_BELOW_BYTES = 64 * 1024
AFTER_KILL_S = 1.0
"""How long the end of killed processes is waited for when the thread is to end."""

Handler = Callable[[], int]
"""Does what an event asks for; returns the bytes it read."""


class IngestListener(Protocol):
    """Whom the thread tells; every call comes from that thread."""

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """Frames have come in, or were lost."""

    def ended(self, run: Run) -> None:
        """A process is gone and its record pipe is drained; its stderr file is still open."""

    def tick(self, now_ns: int) -> None:
        """Half a second has passed."""

    def broken(self, error: Exception) -> None:
        """The thread ends because of an error it does not know."""


class Ingest:
    """The thread. `start`, `stop` and `post` may be called from any thread, the rest from it."""

    def __init__(self, clock: Clock, listener: IngestListener) -> None:
        self._clock = clock
        self._listener = listener
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._handlers: dict[int, Handler] = {}
        self._posted: deque[Callable[[], object]] = deque()
        self._runs: set[Run] = set()
        self._slab = memoryview(bytearray(SLAB_BYTES))
        self._waited_since_ns = 0
        self._leave_at_ns = 0
        self._thread = threading.Thread(target=self._run, name="agent-ingest", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._register(self._wake, self._run_posted)
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """End every process and the thread; those that stay after `grace_s` are killed."""
        self.post(lambda: self._end_all(grace_s))
        self._thread.join()
        # If the thread broke down there may be processes it has not even adopted.
        self._do_posted()
        for run in tuple(self._runs):
            run.process.kill_group()
            run.process.wait(AFTER_KILL_S)
            self._finish(run)
        self._epoll.close()
        os.close(self._wake)

    def post(self, action: Callable[[], object]) -> None:
        """Have the thread do something; in the order of the calls."""
        self._posted.append(action)
        os.eventfd_write(self._wake, 1)

    def adopt(self, run: Run) -> None:
        """Look after a process from now on."""
        self._runs.add(run)
        self._register(run.process.record_fd, lambda: self._read(run))
        self._register(run.process.pidfd, lambda: self._exited(run))
        run.sample_process(self._clock.monotonic_ns())
        run.sample_rate(self._clock.monotonic_ns())

    def end(self, run: Run, grace_s: float) -> None:
        """Ask a process to exit by closing its task pipe; kill its group after `grace_s`.

        Its records are read on until it is gone.
        """
        if run.ended:
            return
        kill_at_ns = self._clock.monotonic_ns() + int(grace_s * 1e9)
        run.kill_at_ns = min(run.kill_at_ns or kill_at_ns, kill_at_ns)
        self._close_tasks(run, "asked to stop")

    def write_tasks(self, run: Run) -> int:
        """Write queued tasks; what the pipe does not take waits until it can."""
        pipe = run.process.task_fd
        if pipe < 0:
            return 0
        try:
            done = run.tasks.write(pipe)
        except BrokenPipeError:
            self._close_tasks(run, "it has closed its task pipe")
            return 0
        if done and pipe in self._handlers:
            self._unregister(pipe)
        elif not done and pipe not in self._handlers:
            self._register(pipe, lambda: self.write_tasks(run), select.EPOLLOUT)
        return 0

    # The loop.

    def _run(self) -> None:
        try:
            self._loop()
        except Exception as error:
            self._listener.broken(error)

    def _loop(self) -> None:
        next_tick_ns = looked_ns = self._clock.monotonic_ns()
        while not self._leave_at_ns or (self._runs and looked_ns < self._leave_at_ns):
            before_ns = self._clock.monotonic_ns()
            events = self._epoll.poll(self._timeout_s(before_ns, next_tick_ns))
            now_ns = self._clock.monotonic_ns()
            # If the poll had to wait, what it reports is new; else it came since the last look.
            blocked = now_ns - before_ns > 500_000
            self._waited_since_ns = now_ns if blocked else looked_ns
            looked_ns = now_ns
            brought = 0
            for descriptor, _ in events:
                # An earlier handler of this turn may have closed it.
                handler = self._handlers.get(descriptor)
                brought += handler() if handler else 0
            self._kill_overdue(now_ns)
            if now_ns >= next_tick_ns:
                next_tick_ns = now_ns + int(TICK_S * 1e9)
                self._listener.tick(now_ns)
            if 0 < brought < NAP_BELOW_BYTES:
                time.sleep(NAP_S)

    def _timeout_s(self, now_ns: int, next_tick_ns: int) -> float:
        deadlines = [run.kill_at_ns for run in self._runs if run.kill_at_ns and not run.killed]
        if self._leave_at_ns:
            deadlines.append(self._leave_at_ns)
        return max(0.0, (min([next_tick_ns, *deadlines]) - now_ns) / 1e9)

    def _run_posted(self) -> int:
        os.eventfd_read(self._wake)
        self._do_posted()
        return 0

    def _do_posted(self) -> None:
        while self._posted:
            self._posted.popleft()()

    def _register(self, descriptor: int, handler: Handler, events: int = select.EPOLLIN) -> None:
        self._handlers[descriptor] = handler
        self._epoll.register(descriptor, events)

    def _unregister(self, descriptor: int) -> None:
        if self._handlers.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    # Records.

    def _read(self, run: Run) -> int:
        """One read; 0 if there was nothing or the pipe has ended."""
        pipe = run.process.record_fd
        if pipe < 0:
            return 0
        try:
            fresh = os.readv(pipe, [run.reader.room(self._slab)])
        except BlockingIOError:
            return 0
        if not fresh:
            self._close_records(run)
            return 0
        frames = run.reader.advance(self._slab, fresh)
        self._pass_on(run, frames)
        if frames.lost_sync:
            run.lost_sync = frames.lost_sync
            self._close_records(run)
            self._kill(run)
        return fresh

    def _pass_on(self, run: Run, frames: Frames) -> None:
        if frames.sent:
            lag_ms = (self._clock.monotonic_ns() - self._waited_since_ns) / 1e6
            self._listener.received(run, frames, lag_ms)

    def _close_records(self, run: Run) -> None:
        if run.process.record_fd < 0:
            return
        unfinished = run.reader.finish()
        if not run.killed:
            self._pass_on(run, unfinished)
        self._unregister(run.process.record_fd)
        run.process.close_records()

    # The end of a process.

    def _close_tasks(self, run: Run, reason: str) -> None:
        run.tasks.close(reason)
        self._unregister(run.process.task_fd)
        run.process.close_tasks()

    def _end_all(self, grace_s: float) -> None:
        self._leave_at_ns = self._clock.monotonic_ns() + int((grace_s + AFTER_KILL_S) * 1e9)
        for run in self._runs:
            self.end(run, grace_s)

    def _kill_overdue(self, now_ns: int) -> None:
        for run in self._runs:
            if run.kill_at_ns and not run.killed and now_ns >= run.kill_at_ns:
                self._kill(run)

    def _kill(self, run: Run) -> None:
        run.killed = True
        run.process.kill_group()

    def _exited(self, run: Run) -> int:
        """The process has ended; take what it had still written before saying so."""
        if self._leave_at_ns:
            # Nothing it started may outlive the engine. Its own pid is not free before `reap`.
            run.process.kill_group()
        left = run.process.unread()
        while left > 0:
            fresh = self._read(run)
            if not fresh:
                break
            left -= fresh
        self._finish(run)
        return 0

    def _finish(self, run: Run) -> None:
        self._runs.discard(run)
        self._unregister(run.process.pidfd)
        self._close_records(run)
        self._close_tasks(run, "it has exited")
        run.exit_code = run.process.reap()
        run.meter.close()
        run.ended = True
        self._listener.ended(run)
        run.process.close()
