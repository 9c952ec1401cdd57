"""An engine that runs in another process, behind the engine's face."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.counters import Tally
from engine.core.errors import AttachError, BoxscopeError
from engine.core.kinds import KINDS
from engine.core.lineage import Kin, ProcessTree
from engine.core.records import Batch, Record
from engine.core.snapshot import AttachFacts, RecordingFacts, Snapshot
from engine.core.source import SourceStatus
from engine.engine import Engine
from engine.remote.commands import PROCESSES, SET_PIDS, SYNC
from engine.remote.frames import Message
from engine.remote.hello import Hello
from engine.remote.link import CONNECT_S, Link
from engine.remote.mirror import Mirror
from engine.remote.wire import from_plain, records_from, snapshot_from

if TYPE_CHECKING:
    from engine.core.fields import JsonValue
    from engine.discovery.explain import Explanation
    from engine.modules.runner.protocol import Wanted
    from engine.recording.options import RecordingOptions

ATTACH = "attach"
"""Name of the source whose counters tell what this console was told, and what it lost."""
RETRY_S = 1.0
"""Between two attempts to reach an engine that has gone."""
SILENCE_S = 5.0
"""An engine that says nothing for so long is said to hang; it has something to say each second."""
READER_S = 0.01
"""Between two looks at whether what was told has been read, where every record is."""
RAW_S = 0.25
"""How long the bytes of a record are waited for; they may be asked for on the screen's thread."""


class RemoteEngine(Engine):
    """Looks at an engine in another process, and has it do things.

    What the engine tells is kept here, so that reading never waits for it; commands do, so they
    are not for the UI's thread. When the engine has gone, what it told stays until it, or another
    one at the same place, is reached again, which is tried again and again.

    Args:
        path: Of the engine's socket.
        hello: What is wanted of it.
    """

    def __init__(self, path: Path, hello: Hello | None = None) -> None:
        self.path = path
        self._hello = hello or Hello()
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._mirror = Mirror({})
        self._instance = ""
        self._epoch = 0
        self._tables: dict[str, tuple[Record, ...]] = {}
        self._snapshot: Snapshot | None = None
        self._facts = AttachFacts(0, self._hello.read_only)
        self._tally = Tally()
        self._heard = time.monotonic()
        self._stopping = threading.Event()
        self._draining = threading.Event()
        """Set while what is told is taken in though nobody has read what was told before."""
        self._pictured = threading.Event()
        self._slow_until = 0.0
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
                f"the engine at {self.path} has shown nothing: {self._facts.lost or 'it hangs'}"
            )

    def stop(self) -> None:
        """Leave the engine to itself; what it told stays readable. May be called twice."""
        self._stopping.set()
        self._draining.set()
        with self._lock:
            link = self._link
        if link is not None:
            link.close()
        if self._thread.ident is not None:
            self._thread.join(1.0)

    def sync(self) -> None:
        """Have the engine tell what is new, and a picture as new as this call.

        Raises:
            AttachError: it is gone, or does not answer.
        """
        self._draining.set()
        try:
            self._call(SYNC, timeout_s=CONNECT_S)
        finally:
            if not self._stopping.is_set():
                self._draining.clear()

    @property
    def lost(self) -> str:
        """Why the engine is not heard of; empty while it is."""
        return self._facts.lost

    @property
    def epoch(self) -> int:
        """Another number each time another engine was reached, whose records are numbered anew."""
        return self._epoch

    # Reading: what is here.

    def snapshot(self) -> Snapshot:
        """The last picture, with how it is to be attached.

        Raises:
            AttachError: it has never been started.
        """
        snapshot, facts = self._snapshot, self._facts
        if snapshot is None:
            raise AttachError("nothing is attached yet")
        own = self._status(facts)
        return replace(snapshot, sources={**snapshot.sources, ATTACH: own}, attached=facts)

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records of a kind numbered above `seq`, as far as they were told."""
        return self._mirror.store(kind).since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""
        return self._mirror.store(kind).last_seq

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes a record was made of; asks the engine for those that were not told."""
        body = self._mirror.body(seq) if kind == "plugin_record" else None
        if body is not None or time.monotonic() < self._slow_until:
            return body
        try:
            found: bytes | None = self._call("raw", timeout_s=RAW_S, kind=kind, seq=seq)
        except BoxscopeError:
            self._slow_until = time.monotonic() + 1.0
            return None
        return found

    # Commands: the engine's.

    def subscribe(self, event: str, category: str = "") -> None:
        """Subscribe a kernel event, for all who are attached."""
        self._call("subscribe", event=event, category=category)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take back a subscription, for all who are attached."""
        self._call("unsubscribe", event=event, category=category)

    def switch(self, subscriptions: Sequence[tuple[str, str]], on: bool) -> None:
        """Turn several subscriptions on or off at once."""
        self._call("switch", subscriptions=list(subscriptions), on=on)

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Want kernel events of these processes only; others may want more."""
        self._call(SET_PIDS, pids=pids, follow=follow)

    def process_tree(self, pid: int) -> ProcessTree:
        """A process with all that descend from it, as the engine sees processes."""
        return ProcessTree(pid, self._processes)

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the probe's programs, or no longer."""
        self._call("time_programs", wanted=wanted)

    def set_ports(self, text: str) -> None:
        """Change the ports processes are looked for by, for all who are attached."""
        self._call("set_ports", text=text)

    def explain(self, pid: int) -> Explanation:
        """Everything about a process, and why it is selected or not, as the engine sees it."""
        explanation: Explanation = self._call("explain", pid=pid)
        return explanation

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process."""
        self._call("attach", pid=pid)

    def detach(self, pid: int) -> None:
        """Capture the traffic of a process no longer."""
        self._call("detach", pid=pid)

    def load_plugin(self, executable: Path, *, name: str = "", detail: str = "") -> str:
        """Have the engine start a plugin process; returns its name."""
        path = _absolute(executable)
        return str(self._call("load_plugin", executable=path, name=name, detail=detail))

    def unload_plugin(self, name: str) -> None:
        """Stop a plugin and take it off the list."""
        self._call("unload_plugin", name=name)

    def restart_plugin(self, name: str) -> None:
        """Stop a plugin, if it runs, and start it again."""
        self._call("restart_plugin", name=name)

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Queue a task for a plugin; returns its token."""
        return str(self._call("send_task", name=name, data_type=data_type, data=data))

    def load_module(self, wanted: Wanted, *, name: str = "") -> str:
        """Have the engine load a module; returns its name."""
        wanted = replace(wanted, file=_absolute(wanted.file))
        return str(self._call("load_module", wanted=wanted, name=name))

    def call_module(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Call something of a module; returns the call's token."""
        return str(self._call("call_module", name=name, method=method, args=args))

    def load_wasm(self, path: Path) -> str:
        """Have the engine load a Wasm plugin; returns its name."""
        return str(self._call("load_wasm", path=_absolute(path)))

    def reload_wasm(self, name: str) -> str:
        """Load a Wasm plugin's file again; returns its name."""
        return str(self._call("reload_wasm", name=name))

    def unload_wasm(self, name: str) -> None:
        """Take a Wasm plugin out of the chain."""
        self._call("unload_wasm", name=name)

    def rerun_payload(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Offer the message of a result to its plugin again; returns the new results' numbers."""
        numbers: tuple[int, ...] = self._call(
            "rerun_payload", seq=seq, payload=payload, cuts=tuple(cuts)
        )
        return numbers

    def start_recording(self, path: Path, options: RecordingOptions | None = None) -> None:
        """Have the engine record into a file of its own user's."""
        self._call("start_recording", path=_absolute(path), options=options)

    def stop_recording(self) -> RecordingFacts | None:
        """End the recording; returns what it holds."""
        facts: RecordingFacts | None = self._call("stop_recording")
        return facts

    def dump_recording(self, path: Path, options: RecordingOptions | None = None) -> RecordingFacts:
        """Have the engine write all it remembers into a file."""
        facts: RecordingFacts = self._call("dump_recording", path=_absolute(path), options=options)
        return facts

    def _call(self, command: str, timeout_s: float | None = None, **arguments: object) -> Any:
        with self._lock:
            link, lost = self._link, self._facts.lost
        if link is None:
            raise AttachError(lost or "nothing is attached", fix="boxscope engine starts one")
        return link.call(command, arguments, timeout_s)

    def _processes(self) -> Iterable[Kin]:
        found: list[Kin] = self._call(PROCESSES)
        return found

    def _status(self, facts: AttachFacts) -> SourceStatus:
        """How it is to be attached, with the counters of what was told."""
        counters = self._tally.read()
        silent_s = time.monotonic() - self._heard
        if facts.lost:
            fix = "it is looked for again and again; boxscope engine starts one"
            return SourceStatus(ATTACH, "failed", facts.lost, fix, counters=counters)
        if silent_s > SILENCE_S:
            reason = f"the engine, process {facts.pid}, has said nothing for {silent_s:.0f} s"
            return SourceStatus(ATTACH, "degraded", reason, counters=counters)
        return SourceStatus(ATTACH, "running", counters=counters)

    # Following what is told, in a thread of its own.

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
        except AttachError as error:
            return str(error)
        return f"the engine, process {link.welcome.pid}, has gone"

    def _lose(self, link: Link, why: str) -> None:
        link.close(why)
        with self._lock:
            self._link = None
            self._facts = replace(self._facts, lost=why)
        link.dispose()
        self._pictured.set()

    def _try_again(self) -> None:
        after = self._mirror.cursors()
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
                self._mirror = Mirror(welcome.after, unread_stay=self._hello.every)
                self._epoch += 1
            self._tables = {}
            self._facts = AttachFacts(welcome.pid, welcome.read_only)
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
                self._mirror.store(str(kind)).take(records)
                self._tally.add(seen=len(records), kept=len(records), lag_ms=max(0.0, newest_ms))
                self._wait_for_reader(str(kind))
            case "reached" if kind in KINDS:
                lost: dict[str, int] = from_plain(dict[str, int], message.get("lost"))
                self._tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
                self._mirror.keep_bodies(_bodies(message.get("bodies")))
                self._mirror.store(str(kind)).reach(from_plain(int, message.get("seq")))
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
        while self._mirror.store(kind).behind and not self._draining.is_set():
            self._draining.wait(READER_S)


def _bodies(shown: object) -> dict[int, bytes]:
    told = from_plain(dict[int, str], shown)
    return {seq: base64.b64decode(body) for seq, body in told.items()}


def _absolute(path: Path) -> Path:
    """A file as the engine finds it, whose own directory and home are other ones."""
    return Path(os.path.abspath(os.path.expanduser(path)))
