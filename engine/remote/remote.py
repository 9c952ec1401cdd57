"""An engine that runs in another process, behind the engine's face."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.core.errors import BoxscopeError
from engine.core.lineage import Kin, ProcessTree
from engine.core.progress import TaskFacts
from engine.core.records import Batch
from engine.core.snapshot import RecordingFacts, Snapshot
from engine.engine import Engine
from engine.remote.commands import PROCESSES, SET_PIDS, SYNC
from engine.remote.following import Follower
from engine.remote.hello import Hello
from engine.remote.link import CONNECT_S

if TYPE_CHECKING:
    from engine.core.fields import JsonValue
    from engine.discovery.explain import Explanation
    from engine.modules.runner.protocol import Wanted
    from engine.recording.options import RecordingOptions
    from engine.workspace import Loaded

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
        self._follower = Follower(path, hello or Hello())
        self._slow_until = 0.0

    # Life.

    def start(self) -> None:
        """Attach, and wait for the first picture; does nothing if that was done.

        Raises:
            AttachError: nobody is there, or it does not let us in.
        """
        self._follower.start()

    def stop(self) -> None:
        """Leave the engine to itself; what it told stays readable. May be called twice."""
        self._follower.stop()

    def sync(self) -> None:
        """Have the engine tell what is new, and a picture as new as this call.

        Raises:
            AttachError: it is gone, or does not answer.
        """
        self._follower.call_draining(SYNC, CONNECT_S)

    @property
    def lost(self) -> str:
        """Why the engine is not heard of; empty while it is."""
        return self._follower.facts.lost

    @property
    def is_shared(self) -> bool:
        """It is."""
        return True

    @property
    def epoch(self) -> int:
        """Another number each time another engine was reached, whose records are numbered anew."""
        return self._follower.epoch

    # Reading: what is here.

    def snapshot(self) -> Snapshot:
        """The last picture, with how it is to be attached.

        Raises:
            AttachError: it has never been started.
        """
        return self._follower.snapshot()

    def progress(self) -> tuple[TaskFacts, ...]:
        """What is being done here, and what the engine was busy with at the last picture.

        The engine's tasks have negative numbers, as both sides count from one.
        """
        theirs = self._follower.tasks
        return *super().progress(), *(replace(task, number=-task.number) for task in theirs)

    def cancel_task(self, number: int) -> None:
        """Tell a task to end, here or in the engine.

        Raises:
            FailedError: it cannot be cancelled.
            AttachError: the engine is gone, or this console may only look.
        """
        if number < 0:
            self._call("cancel_task", number=-number)
        else:
            super().cancel_task(number)

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records of a kind numbered above `seq`, as far as they were told."""
        return self._follower.mirror.store(kind).since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""
        return self._follower.mirror.store(kind).last_seq

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes a record was made of; asks the engine for those that were not told."""
        body = self._follower.mirror.body(seq) if kind == "plugin_record" else None
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

    def loaded(self) -> Loaded:
        """The plugins, modules and Wasm plugins the engine has, as a workspace names them."""
        loaded: Loaded = self._call("loaded")
        return loaded

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
        return self._follower.call(command, arguments, timeout_s)

    def _processes(self) -> Iterable[Kin]:
        found: list[Kin] = self._call(PROCESSES)
        return found


def _absolute(path: Path) -> Path:
    """A file as the engine finds it, whose own directory and home are other ones."""
    return Path(os.path.abspath(os.path.expanduser(path)))
