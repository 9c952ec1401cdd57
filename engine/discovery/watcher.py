"""The discovery source: sockets to processes to rows, in three stages.

    Scanner --> MatcherStage --> Attacher --> rows

The scanner looks at the box each interval, and at once when it is poked. The stages are joined by
bounded queues of event batches, so that a slow one holds up nobody.

Counters of the source: `seen` is the number of sockets the kernel's dumps returned, `kept` those
that were read, whether they are listed or not. `dropped` names real losses only: `malformed`
messages and, one each, dumps that failed (`dump_error`). `lag_ms` is the time from the first
dump of a scan to its rows. `stages` has the counters of each stage.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from engine.core.clock import Clock
from engine.core.counters import Counters, Tally
from engine.core.errors import BoxscopeError, FailedError
from engine.core.records import Record, RecordRing
from engine.core.source import Logbook, Source
from engine.discovery.attacher import Attacher
from engine.discovery.attachment import Listed
from engine.discovery.capture import Capture
from engine.discovery.capture_table import CaptureTable
from engine.discovery.config import DiscoveryConfig
from engine.discovery.explain import Explanation, explain
from engine.discovery.listing import Listing
from engine.discovery.matching import MatcherStage, PolicyMatcher
from engine.discovery.observed import Event
from engine.discovery.policy import Policy, policy_of
from engine.discovery.scanner import Scanner
from engine.discovery.sight import sight_of
from engine.discovery.wakeups import Reason, WakeUps

_RING_CAPACITY = 10_000
_SETTLING_LOOKS = 20
"""How many further looks one scan takes at most for processes that are not ready."""


class PortWatcher(Source):
    """Lists the processes behind listening TCP and unconnected UDP sockets.

    One row per process. The sockets whose process cannot be seen, be it for want of rights or
    because the kernel itself holds them, are together one row for each network namespace, without
    pid and comm.
    """

    name = "discovery"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        open_port: str = "",
        exe: str = "",
        config: DiscoveryConfig | None = None,
        show_all: bool = False,
        interval_s: float = 1.0,
        capture: Capture | None = None,
        attach_selected: bool = False,
    ) -> None:
        """Make a watcher; it looks at nothing before `start` or `scan_once`.

        Args:
            clock: Where stamps come from.
            logbook: Where it writes what it has to say.
            open_port: Port enumeration as in Beyla's `open_port`; empty = as `config` says.
            exe: Glob over the path of the executable; empty = as `config` says.
            config: Beyla's configuration; without one every process that has a port is listed,
                as far as the two do not say otherwise. Its minimum age counts for processes
                without ports.
            show_all: List the processes that no criterion selects, too.
            interval_s: Seconds between two scans of the thread, unless `config` says, or is
                faithful.
            capture: Captures traffic of processes; without it none can be attached.
            attach_selected: Capture the traffic of what is selected without being told; of what
                a criterion with `exports` selects that decides.

        Raises:
            UsageError: if `open_port` or `exe` is malformed.
        """
        super().__init__(clock, logbook)
        self._config = config = (config or DiscoveryConfig()).with_selectors(exe=exe)
        configured = config.faithful or "poll_interval_s" in config.origins
        self._interval_s = config.poll_interval_s if configured else interval_s
        self._show_all = show_all
        self._attach_selected = attach_selected
        self.policy = self._choose(open_port or None)
        self._ring = RecordRing(_RING_CAPACITY)
        self.rings = {"process": self._ring}
        self._scanner = Scanner(self.policy.min_process_age_s, faithful=config.faithful)
        self._scanned = Tally()
        self._matching = MatcherStage(self._matcher(), lambda: self._scanner.known)
        self._attaching = Attacher(lambda: self._matching.told, self.log, capture)
        self._matching.emit = self._attaching.put
        self._attaching.emit = self._list
        for stage in (self._matching, self._attaching):
            stage.report = self._stage_failed
        self._listing = Listing(clock)
        self._captures = CaptureTable(clock)
        self._scanning = threading.Lock()
        self._wake_ups = WakeUps()
        self._thread: threading.Thread | None = None
        self._started_ns = 0

    def start(self) -> None:
        """Begin to scan each interval, in a thread; the stages behind have one each."""
        if self._thread:
            return
        self._wake_ups = WakeUps()
        self.set_status("starting")
        self._matching.start()
        self._attaching.start()
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop scanning at once, detach everything, join the threads; the rows stay readable."""
        self._wake_ups.stop()
        if self._thread:
            self._thread.join()
            self._thread = None
            self._matching.stop()
            self._attaching.stop()
        self._attaching.close()
        with self._scanning:
            self._scanner.close()
        self.set_status("off")

    def poke(self, reason: Reason, pid: int | None = None) -> None:
        """Look soon, because something happened; never waits, may be called as often as it happens.

        What concerns no process that is known is left to the next scan: most processes that
        start and end own no port.

        Args:
            reason: What happened.
            pid: To which process; None if that is not known.
        """
        if pid is None and reason in ("exec", "exit"):
            for known in self._scanner.known:
                self._wake_ups.poke(known)
        if (
            reason in ("bind", "listen")
            or pid is None
            or pid in self._scanner.known
            or pid in self._attaching.attached
            or (reason == "exec" and self._matching.scope.portless)
        ):
            self._wake_ups.poke(pid)

    def set_ports(self, text: str) -> None:
        """Change the port enumeration; takes effect at once. Blank text = every port.

        Raises:
            UsageError: if it is malformed; the former one stays.
        """
        self.policy = self._choose(text)
        self._matching.set_matcher(self._matcher())
        self._wake_ups.poke(None)

    def explain(self, pid: int) -> Explanation:
        """Everything about a process and why it is selected or not; reads it anew.

        Raises:
            ProcessGone: if it has ended, or /proc hides it altogether.
        """
        return explain(pid, self.policy)

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process, listed or not, and of those that take its place.

        Raises:
            ProcessGone: if there is no such process.
            BoxscopeError: if it cannot be captured.
        """
        self._attaching.attach(pid)

    def detach(self, pid: int) -> None:
        """End capturing the traffic of a process, and of those that take its place.

        Raises:
            FailedError: if it is not attached.
        """
        self._attaching.detach(pid)

    @property
    def attached(self) -> frozenset[int]:
        """The processes whose traffic is captured."""
        return self._attaching.attached

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The rows of the latest scan under `process`, by lowest port, then pid; whose traffic is
        captured under `capture_state`."""
        captures = self._captures.rows(self._attaching.attachments())
        return {"process": self._listing.rows, "capture_state": captures}

    def stages(self) -> Mapping[str, Counters]:
        """The counters of `watcher`, `matcher` and `attacher`, in events.

        Those of the source itself are in sockets.

        An event that is kept is known to the next stage. `not_matched` is no loss; `superseded`
        are steps a stage that was behind left out on its way to the present state.
        """
        return {
            "watcher": self._scanned.read(),
            "matcher": self._matching.counters,
            "attacher": self._attaching.counters,
        }

    def scan_once(self) -> tuple[Record, ...]:
        """Look once, with or without the thread, and return the rows.

        Every row that came, changed or went is also a record in the ring. A dump that fails
        leaves the sockets of its table as they were and shows in the status. Processes that were
        forked a moment ago are waited for, some 30 ms at most.

        Raises:
            FailedError: if /proc cannot be read, for want of file descriptors or rights.
        """
        with self._scanning:
            self._started_ns = self.clock.monotonic_ns()
            retry_s = self._look()
            for _ in range(_SETTLING_LOOKS):
                if retry_s is None or retry_s > self._interval_s:
                    break
                self._wake_ups.wait_to_stop(retry_s)
                retry_s = self._look(only_not_ready=True)
            self._work()
            self._attaching.tend()
            self._count()
            self._show_status()
        return self._listing.rows

    def _run(self) -> None:
        wake_ups, wait_s, due_s = self._wake_ups, 0.0, 0.0
        while reason := wake_ups.wait(wait_s):
            now_s, cpu_s = self.clock.monotonic_ns() / 1e9, time.thread_time()
            whole = reason == "poked" or now_s >= due_s
            retry_s = None
            try:
                retry_s = self._look_counted(first=not due_s) if whole else self._look_again()
            except BoxscopeError as error:
                self.fail(error)
            if whole:
                due_s = now_s + self._interval_s
                wake_ups.note_cost(time.thread_time() - cpu_s)
            wait_s = max(due_s - self.clock.monotonic_ns() / 1e9, 0.0)
            wait_s = wait_s if retry_s is None else min(retry_s, wait_s)

    def _look_counted(self, *, first: bool) -> float | None:
        with self._scanning:
            self._started_ns = self.clock.monotonic_ns()
            retry_s = self._look()
            if first:
                self._work()  # who waits for the first status finds its rows
            self._attaching.tend()
            self._count()
            self._show_status()
            return retry_s

    def _look_again(self) -> float | None:
        with self._scanning:
            return self._look(only_not_ready=True)

    def _work(self) -> None:
        """Do the work of the stages that waits."""
        try:
            self._matching.pump()
            self._attaching.pump()
        except OSError as failure:
            raise FailedError(f"/proc cannot be read: {failure.strerror}") from failure

    def _look(self, *, only_not_ready: bool = False) -> float | None:
        """Look, and tell the stages; returns when to look again for what was not ready."""
        try:
            if only_not_ready:
                events = self._scanner.look_at_not_ready()
            else:
                events = self._scanner.look(self._matching.scope, self._wake_ups.take())
        except OSError as failure:
            raise FailedError(f"/proc cannot be read: {failure.strerror}") from failure
        if events:
            self._scanned.add(seen=len(events), kept=len(events))
            self._matching.put(events)
        return self._scanner.retry_s

    def _list(self, events: Sequence[Event[Listed]]) -> None:
        self._ring.extend(self._listing.update(events))  # numbers the rows as well
        self.tally.add(seen=0, kept=0, lag_ms=self._lag_ms())

    def _lag_ms(self) -> float:
        return (self.clock.monotonic_ns() - self._started_ns) / 1e6

    def _stage_failed(self, failure: Exception) -> None:
        reason = failure.strerror if isinstance(failure, OSError) else str(failure)
        self.log("error", f"processes cannot be decided about for the moment: {reason}")

    def _count(self) -> None:
        """Account for the dumps of one scan; of several tries the last counts."""
        dumped = self._scanner.dumped
        failed = len(dumped.failures)
        self.tally.add(
            seen=dumped.read + dumped.malformed + failed,
            kept=dumped.read,
            dropped={"malformed": dumped.malformed, "dump_error": failed},
            lag_ms=self._lag_ms(),
        )

    def _show_status(self) -> None:
        sight = sight_of(self._scanner)
        self.set_status(sight.state, "; ".join(sight.reasons), "; ".join(sight.fixes))

    def _matcher(self) -> PolicyMatcher:
        return PolicyMatcher(self.policy, show_all=self._show_all, attach=self._attach_selected)

    def _choose(self, open_port: str | None) -> Policy:
        """The lists in force with these ports; what they leave aside is logged."""
        policy = policy_of(self._config.with_selectors(open_port=open_port))
        for note in policy.notes:
            self.log("warning", note)
        return policy
