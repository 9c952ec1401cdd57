"""One thread for all pipes of all plugins: reads records, writes tasks, notices deaths.

Reading is level-triggered, at most one read per plugin and turn. After a turn that brought
something the thread naps, so that many plugins with a record now and then cost few wake-ups;
only for so long that no pipe is more than half full afterwards, and not at all in a flood.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from engine.agent.launch import pipe_bytes
from engine.agent.plugin import Run
from engine.agent.wire import MANY_FRAMES, READ_BYTES, Frames, Slab
from engine.core.clock import Clock

TICK_S = 0.5
NAP_S = 0.010
NAP_PER_READ_S = 0.0005
LONGEST_NAP_S = 0.050
"""A nap may be the longer the more pipes had something; then it spares more."""
SHORTEST_NAP_S = 0.001
FLOOD_READS = 64
"""After so many reads of half a pipe full of small frames the compiled slab is worth loading."""
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

    def slower(self, reason: str) -> None:
        """It goes on, but not as fast as it could."""


class Ingest:
    """The thread. `start`, `stop` and `post` may be called from any thread, the rest from it."""

    def __init__(self, clock: Clock, listener: IngestListener, slab: Slab | None = None) -> None:
        """Make the thread.

        Args:
            clock: Where the time is taken from.
            listener: Whom it tells.
            slab: What pipes are read into; if left out, a plain one, and from the first flood on
                a compiled one.
        """
        self._clock = clock
        self._listener = listener
        self._epoll = select.epoll()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._asked = select.poll()
        self._asked.register(self._wake, select.POLLIN)
        self._handlers: dict[int, Handler] = {}
        self._posted: deque[Callable[[], object]] = deque()
        self._runs: set[Run] = set()
        self._slab = slab or Slab()
        self._reads_to_flood = FLOOD_READS if slab is None else 0
        self._compiler: threading.Thread | None = None
        self._pipe_bytes = 0
        self._read_bytes = 0
        """At most this much is read of a plugin in a turn, so that large pipes get no more."""
        self._nap_s = NAP_S
        self._pressed = False
        """Whether a pipe was half full or more in this turn."""
        self._waited_since_ns = 0
        self._leave_at_ns = 0
        self._sweeping = False
        self._thread = threading.Thread(target=self._run, name="agent-ingest", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._register(self._wake, self._run_posted)
        self._thread.start()

    def sweep_groups(self) -> None:
        """From now on, what a plugin leaves behind in its process group is killed with it.

        To be said before the first plugin is asked to exit because the engine ends.
        """
        self._sweeping = True

    def stop(self, grace_s: float) -> None:
        """End every process and the thread; those that stay after `grace_s` are killed."""
        self.sweep_groups()
        self.post(lambda: self._end_all(grace_s))
        self._thread.join()
        if self._compiler is not None:
            self._compiler.join()
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
        self._size_pipes()
        self._register(run.process.record_fd, lambda: self._read(run))
        self._register(run.process.pidfd, lambda: self._exited(run))
        run.sample_process(self._clock.monotonic_ns())
        run.sample_rate(self._clock.monotonic_ns())

    def end(self, run: Run, grace_s: float) -> None:
        """Ask a process to exit by closing its task pipe; kill its group after `grace_s`.

        Its records are read on until it is gone, unless it is to be stopped as the agent does it.
        """
        if run.ended:
            return
        kill_at_ns = self._clock.monotonic_ns() + int(grace_s * 1e9)
        run.kill_at_ns = min(run.kill_at_ns or kill_at_ns, kill_at_ns)
        self._close_tasks(run, "asked to stop")
        if run.faithful_stop:
            self._close_records(run)

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
            reads, self._pressed = 0, False
            for descriptor, _ in events:
                # An earlier handler of this turn may have closed it.
                handler = self._handlers.get(descriptor)
                reads += bool(handler and handler())
            self._kill_overdue(now_ns)
            if now_ns >= next_tick_ns:
                next_tick_ns = now_ns + int(TICK_S * 1e9)
                self._listener.tick(now_ns)
            if reads:
                self._nap(reads)

    def _nap(self, reads: int) -> None:
        """Let records come together after a turn with so many reads."""
        if self._pressed:
            self._nap_s /= 2
        else:
            longest = min(max(NAP_S, reads * NAP_PER_READ_S), LONGEST_NAP_S)
            self._nap_s = min(self._nap_s * 1.25 + SHORTEST_NAP_S / 4, longest)
        if self._nap_s >= SHORTEST_NAP_S:
            # Not a sleep: what is asked of the thread ends it.
            self._asked.poll(self._nap_s * 1000)

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
            fresh = os.readv(pipe, [run.reader.room(self._slab, self._read_bytes)])
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
        if fresh * 2 >= self._pipe_bytes:
            self._pressed = True
            if frames.kept >= MANY_FRAMES:
                self._prepare_for_floods()
        elif run.process.record_fd >= 0 and run.process.crowded(fresh):
            self._pressed = True
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

    def _size_pipes(self) -> None:
        """Give the record pipes the capacity that is right for so many of them."""
        wanted = pipe_bytes(len(self._runs))
        if wanted != self._pipe_bytes:
            self._pipe_bytes = wanted
            self._read_bytes = min(wanted, READ_BYTES)
            for run in self._runs:
                run.process.resize_records(wanted)

    def _prepare_for_floods(self) -> None:
        self._reads_to_flood -= 1
        if self._reads_to_flood == 0:
            self._compiler = threading.Thread(
                target=self._compile, name="agent-compile", daemon=True
            )
            self._compiler.start()

    def _compile(self) -> None:
        try:
            from engine.agent.compiled import CompiledSlab

            compiled = CompiledSlab()
        except Exception as error:
            self._listener.slower(f"plugins that send a flood are read slower: {error}")
            return
        self.post(lambda: setattr(self, "_slab", compiled))

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
        if self._sweeping:
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
        self._size_pipes()
        self._unregister(run.process.pidfd)
        self._close_records(run)
        self._close_tasks(run, "it has exited")
        run.exit_code = run.process.reap()
        run.meter.close()
        run.ended = True
        self._listener.ended(run)
        run.process.close()
