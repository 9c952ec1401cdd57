"""The connection to an engine over its whole life: lost and found again, and what was told by it.

One thread takes in what is told; reading that never waits for it.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.core.counters import Tally
from engine.core.errors import AttachError, BoxscopeError
from engine.core.kinds import KINDS
from engine.core.progress import TaskFacts
from engine.core.records import Record
from engine.core.snapshot import AttachFacts, Snapshot
from engine.core.source import SourceStatus
from engine.remote.frames import Message
from engine.remote.hello import Hello
from engine.remote.link import CONNECT_S, Link
from engine.remote.mirror import Mirror
from engine.remote.wire import from_plain, records_from, snapshot_from

ATTACH = "attach"
"""Name of the source whose counters tell what this console was told, and what it lost."""
RETRY_S = 1.0
"""Between two attempts to reach an engine that has gone."""
SILENCE_S = 5.0
"""An engine that says nothing for so long is said to hang; it has something to say each second."""
READER_S = 0.01
"""Between two looks at whether what was told has been read, where every record is."""


class Follower:
    """Follows what an engine tells.

    Args:
        path: Of the engine's socket.
        hello: What is wanted of it.
    """

    def __init__(self, path: Path, hello: Hello) -> None:
        self.path = path
        self.mirror = Mirror({})
        """The records of the engine that was reached last."""
        self.epoch = 0
        """How many different engines were reached."""
        self.facts = AttachFacts(0, hello.read_only)
        self._hello = hello
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._instance = ""
        self._tables: dict[str, tuple[Record, ...]] = {}
        self._snapshot: Snapshot | None = None
        self._tally = Tally()
        self._heard = time.monotonic()
        self._stopping = threading.Event()
        self._draining = threading.Event()
        """Set while what is told is taken in though nobody has read what was told before."""
        self._pictured = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="boxscope-attach", daemon=True)

    # Life.

    def start(self) -> None:
        """Attach, and wait for the first picture; does nothing if that was done.

        Raises:
            AttachError: nobody is there, or it does not let us in.
        """
        if self._thread.ident is not None or self._stopping.is_set():
            return
        self._enter(Link(self.path, self._hello))
        self._thread.start()
        if not self._pictured.wait(CONNECT_S) or self._snapshot is None:
            self.stop()
            raise AttachError(
                f"the engine at {self.path} has shown nothing: {self.facts.lost or 'it hangs'}"
            )

    def stop(self) -> None:
        """Leave the engine to itself; what it told stays. May be called twice."""
        self._stopping.set()
        self._draining.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def call(self, command: str, arguments: dict[str, object], timeout_s: float | None) -> Any:
        """Have the engine carry out a command; waits for its answer.

        Raises:
            BoxscopeError: it was refused, or the engine is gone or takes too long.
        """
        with self._lock:
            link, lost = self._link, self.facts.lost
        if link is None:
            raise AttachError(lost or "nothing is attached", fix="boxscope engine starts one")
        return link.call(command, arguments, timeout_s)

    def call_draining(self, command: str, timeout_s: float) -> None:
        """As `call`; what is told before the answer is taken in, whether it is read or not."""
        self._draining.set()
        try:
            self.call(command, {}, timeout_s)
        finally:
            if not self._stopping.is_set():
                self._draining.clear()

    def snapshot(self) -> Snapshot:
        """The last picture, with how it is to be attached.

        Raises:
            AttachError: there was none yet.
        """
        snapshot, silent_s = self._snapshot, time.monotonic() - self._heard
        if snapshot is None:
            raise AttachError("nothing is attached yet")
        facts = replace(self.facts, silent_s=silent_s if silent_s > SILENCE_S else 0.0)
        sources = {**snapshot.sources, ATTACH: self._status(facts)}
        return replace(snapshot, sources=sources, attached=facts)

    @property
    def tasks(self) -> tuple[TaskFacts, ...]:
        """What the engine was busy with at the last picture."""
        return self._snapshot.tasks if self._snapshot else ()

    def _status(self, facts: AttachFacts) -> SourceStatus:
        """How it is to be attached, with the counters of what was told."""
        counters = self._tally.read()
        if facts.lost:
            fix = "boxscope engine starts one, which a console finds by itself"
            return SourceStatus(ATTACH, "failed", facts.lost, fix, counters=counters)
        if facts.silent_s:
            reason = f"the engine, process {facts.pid}, has said nothing for {facts.silent_s:.0f} s"
            return SourceStatus(ATTACH, "degraded", reason, counters=counters)
        return SourceStatus(ATTACH, "running", counters=counters)

    # The thread.

    def _follow(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                link = self._link
            if link is None:
                self._stopping.wait(RETRY_S)
                self._try_again()
                continue
            self._lose(link, self._take_all(link))

    def _take_all(self, link: Link) -> str:
        """Take in what a connection tells until it has ended; returns why that was."""
        try:
            for message in link.messages():
                self._heard = time.monotonic()
                if message["type"] == "bye":
                    return f"the engine, process {link.welcome.pid}, was stopped"
                self._take(message)
        except BoxscopeError as error:
            return str(error)
        return f"the engine, process {link.welcome.pid}, has gone"

    def _lose(self, link: Link, why: str) -> None:
        link.close(why)
        with self._lock:
            self._link = None
            self.facts = replace(self.facts, lost=why)
        link.dispose()
        self._pictured.set()

    def _try_again(self) -> None:
        after = self.mirror.cursors()
        hello = replace(self._hello, instance=self._instance, after=after)
        try:
            link = Link(self.path, hello)
        except BoxscopeError:
            return
        self._enter(link)

    def _enter(self, link: Link) -> None:
        welcome = link.welcome
        with self._lock:
            if welcome.instance != self._instance:
                self._instance = welcome.instance
                self.mirror = Mirror(welcome.after, unread_stay=self._hello.every)
                self.epoch += 1
            self._tables = {}
            self.facts = AttachFacts(welcome.pid, welcome.read_only)
            self._heard = time.monotonic()
            self._link = link
        if self._stopping.is_set():
            link.close()

    def _take(self, message: Message) -> None:
        """Take in one message.

        Raises:
            AttachError: no engine says that.
        """
        kind = message.get("kind")
        match message["type"]:
            case "records":
                records = records_from(kind, message.get("records"))
                newest_ms = (time.time_ns() - records[-1].ts_ns) / 1e6 if records else 0.0
                self.mirror.store(str(kind)).take(records)
                self._tally.add(seen=len(records), kept=len(records), lag_ms=max(0.0, newest_ms))
                self._wait_for_reader(str(kind))
            case "reached" if kind in KINDS:
                lost: dict[str, int] = from_plain(dict[str, int], message.get("lost"))
                self._tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
                self.mirror.keep_bodies(from_plain(dict[int, bytes], message.get("bodies")))
                self.mirror.store(str(kind)).reach(from_plain(int, message.get("seq")))
            case "rows":
                rows = records_from(kind, message.get("rows"))
                before = () if message.get("first") else self._tables.get(str(kind), ())
                self._tables[str(kind)] = before + rows
            case "snapshot":
                self._snapshot = snapshot_from(message, self._tables)
                self._pictured.set()
            case other:
                raise AttachError(f"the engine said {other[:40]!r}, which no engine says")

    def _wait_for_reader(self, kind: str) -> None:
        """Take in no more before what is here was read; the engine goes on, and counts."""
        while self.mirror.store(kind).behind and not self._draining.is_set():
            self._heard = time.monotonic()
            self._draining.wait(READER_S)
