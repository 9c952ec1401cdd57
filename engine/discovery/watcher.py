"""The discovery source: sockets to processes to rows, looked at again each interval.

Counters: `seen` is the number of sockets the kernel's dumps returned, `kept` those that were
read, whether they are listed or not. `dropped` names real losses only: `malformed`
messages and, one each, dumps that failed (`dump_error`). `lag_ms` is the time from the first
dump of a scan to its rows.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping

from engine.core.clock import Clock
from engine.core.errors import BoxscopeError, FailedError
from engine.core.records import Record, RecordRing
from engine.core.source import Logbook, Source, SourceState
from engine.discovery.config import DiscoveryConfig
from engine.discovery.explain import Explanation, explain
from engine.discovery.listing import Listing, SocketsByPid
from engine.discovery.owners import Owners
from engine.discovery.policy import Policy, policy_of
from engine.discovery.sockdiag import TABLES, BoundSocket, SockDiag, Table

_RING_CAPACITY = 10_000
_NOBODY = (None,)


class PortWatcher(Source):
    """Lists the processes behind listening TCP and unconnected UDP sockets.

    One row per process. The sockets whose process cannot be seen, be it for want of rights or
    because the kernel itself holds them, are together one row without pid and comm.
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
    ) -> None:
        """Make a watcher; it looks at nothing before `start` or `scan_once`.

        Args:
            clock: Where stamps come from.
            logbook: Where it writes what it has to say.
            open_port: Port enumeration as in Beyla's `open_port`; empty = as `config` says.
            exe: Glob over the path of the executable; empty = as `config` says.
            config: Beyla's configuration; without one every process that has a port is listed,
                as far as the two do not say otherwise.
            show_all: List the processes with a port that no criterion selects, too.
            interval_s: Seconds between two scans of the thread.

        Raises:
            UsageError: if `open_port` or `exe` is malformed.
        """
        super().__init__(clock, logbook)
        self._config = (config or DiscoveryConfig()).with_selectors(exe=exe)
        self._interval_s = interval_s
        self.policy = self._choose(open_port or None)
        self._ring = RecordRing(_RING_CAPACITY)
        self.rings = {"process": self._ring}
        self._listing = Listing(clock, show_all=show_all)
        self._rows: tuple[Record, ...] = ()
        self._owners = Owners()
        self._sockets: dict[Table, list[BoundSocket]] = {}
        self._failures: list[FailedError] = []
        self._read = self._malformed = 0
        self._scanning = threading.Lock()
        self._stopping = False
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to scan each interval, in a thread."""
        if self._thread:
            return
        self._stopping = False
        self._wake.clear()
        self.set_status("starting")
        self._thread = threading.Thread(target=self._run, name="discovery", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop scanning at once and join the thread; the rows stay readable."""
        self._stopping = True
        self._wake.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        self.set_status("off")

    def set_ports(self, text: str) -> None:
        """Change the port enumeration; takes effect at once. Blank text = every port.

        Raises:
            UsageError: if it is malformed; the former one stays.
        """
        self.policy = self._choose(text)
        self._wake.set()

    def explain(self, pid: int) -> Explanation:
        """Everything about a process and why it is selected or not; reads it anew.

        Raises:
            ProcessGone: if it has ended, or /proc hides it altogether.
        """
        return explain(pid, self.policy)

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The rows of the latest scan under `process`, by lowest port, then pid."""
        return {"process": self._rows}

    def scan_once(self) -> tuple[Record, ...]:
        """Look once, with or without the thread, and return the rows.

        Every row that came, changed or went is also a record in the ring. A dump that fails
        leaves the sockets of its table as they were and shows in the status.

        Raises:
            FailedError: if /proc cannot be read, for want of file descriptors or rights.
        """
        with self._scanning:
            started_ns = self.clock.monotonic_ns()
            try:
                sockets = self._look()
                changes = self._listing.update(sockets, self.policy, self._owners.fresh)
            except OSError as failure:
                raise FailedError(f"/proc cannot be read: {failure.strerror}") from failure
            self._ring.extend(changes)  # numbers the records that are rows as well
            self._rows = self._listing.rows
            self._count((self.clock.monotonic_ns() - started_ns) / 1e6)
            self._show_status()
            return self._rows

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.scan_once()
            except BoxscopeError as error:
                self.fail(error)
            self._wake.wait(self._interval_s)
            self._wake.clear()

    def _look(self) -> SocketsByPid:
        """The sockets by the pid that holds them."""
        sockets = self._dump()
        holders = self._owners.resolve({bound.inode for bound in sockets})
        if self._owners.newly_unowned:
            # Closed since the dump, or opened by a process that appeared since /proc was listed.
            sockets = self._dump()
            holders = self._owners.resolve({bound.inode for bound in sockets}, again=True)
        by_pid: dict[int | None, list[BoundSocket]] = {}
        for bound in sockets:
            for pid in holders.get(bound.inode, _NOBODY):
                by_pid.setdefault(pid, []).append(bound)
        return by_pid

    def _dump(self) -> list[BoundSocket]:
        """The sockets of all tables; those of a table that fails as they were."""
        self._failures = []
        self._read = self._malformed = 0
        try:
            with SockDiag() as diag:
                for table in TABLES:
                    try:
                        answer = diag.dump(table)
                    except FailedError as failure:
                        self._failures.append(failure)
                    else:
                        self._sockets[table] = answer.sockets
                        self._read += len(answer.sockets)
                        self._malformed += answer.malformed
        except FailedError as refused:
            self._failures = [refused] * len(TABLES)
        return [bound for table in self._sockets.values() for bound in table]

    def _count(self, lag_ms: float) -> None:
        """Account for the dumps of one scan; of two tries the second counts."""
        failed = len(self._failures)
        self.tally.add(
            seen=self._read + self._malformed + failed,
            kept=self._read,
            dropped={"malformed": self._malformed, "dump_error": failed},
            lag_ms=lag_ms,
        )

    def _show_status(self) -> None:
        if self._failures:
            reasons = dict.fromkeys(failure.message for failure in self._failures)
            fixes = dict.fromkeys(failure.fix for failure in self._failures if failure.fix)
            nothing_left = len(self._failures) == len(TABLES)
            state: SourceState = "failed" if nothing_left else "degraded"
            self.set_status(state, "; ".join(reasons), "; ".join(fixes))
        elif self._owners.denied and self._owners.unowned:
            self.set_status(
                "degraded",
                "some ports belong to processes that may not be looked into; they are listed "
                "without a process",
                "run as root" if os.geteuid() else "",
            )
        else:
            self.set_status("running")

    def _choose(self, open_port: str | None) -> Policy:
        """The lists in force with these ports; what they leave aside is logged."""
        policy = policy_of(self._config.with_selectors(open_port=open_port))
        for note in policy.notes:
            self.log("warning", note)
        return policy
