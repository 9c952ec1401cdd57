"""The engine's face: what the console, the commands and a replay have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from engine.core.errors import FailedError
from engine.core.lineage import ProcessTree, told_processes
from engine.core.progress import TaskFacts, Tasks
from engine.core.records import Batch
from engine.core.snapshot import RecordingFacts, Snapshot

if TYPE_CHECKING:
    from engine.core.fields import JsonValue
    from engine.discovery.explain import Explanation
    from engine.modules.runner.protocol import Wanted
    from engine.recording.options import RecordingOptions
    from engine.recording.playhead import Playhead
    from engine.workspace import Loaded


class Engine(ABC):
    """A running engine, live or replayed.

    Readers pull: `snapshot` for states, `since` for streams. Both return immutable values and
    cost the sources nothing. Commands raise a BoxscopeError whose message says what to do.
    """

    @abstractmethod
    def start(self) -> None:
        """Start every source. Returns at once; a source that cannot run says so in its status."""

    @abstractmethod
    def stop(self) -> None:
        """Stop every source and release the kernel and the children. May be called twice."""

    @abstractmethod
    def snapshot(self) -> Snapshot:
        """The state of everything now."""

    @abstractmethod
    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records of a kind numbered above `seq`, oldest first.

        Raises:
            KeyError: if no record kind has that name.
        """

    @abstractmethod
    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind; 0 when there is none."""

    @cached_property
    def tasks(self) -> Tasks:
        """Where whoever does something long for this engine says so."""
        return Tasks()

    def progress(self) -> tuple[TaskFacts, ...]:
        """What it is busy with now, the oldest first; asked often."""
        return self.tasks.facts()

    def cancel_task(self, number: int) -> None:
        """Tell a task to end.

        Raises:
            FailedError: it cannot be cancelled.
        """
        self.tasks.cancel(number)

    @property
    def epoch(self) -> int:
        """Another number once the numbers of all records have begun anew."""
        return 0

    def in_force(self) -> Mapping[str, JsonValue]:
        """What is subscribed, filtered and attached, by name, as a recording tells it."""
        return {}

    @property
    def is_shared(self) -> bool:
        """Whether others look at it too, so that no workspace of one of them decides what runs."""
        return False

    @property
    def recording_path(self) -> Path | None:
        """The recording that is replayed; None for a live engine."""
        return None

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes a record was made of, as they came; None where they are not kept."""
        return None

    def subscribe(self, event: str, category: str = "") -> None:
        """Subscribe a kernel event; an empty category means all of its categories.

        Args:
            event: A subscription name, a pattern of names, or a preset such as `@network`.
            category: A category, or a pattern of categories.

        Raises:
            UsageError: unknown name or category; the message lists the nearest ones.
        """
        raise self._read_only("subscribe")

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take back a subscription."""
        raise self._read_only("unsubscribe")

    def switch(self, subscriptions: Sequence[tuple[str, str]], on: bool) -> None:
        """Turn several subscriptions, each a name and a category, on or off at once.

        Raises:
            UsageError: unknown name or category; nothing has changed then.
        """
        raise self._read_only("switch subscriptions")

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Deliver kernel events of these processes only; an empty set means of all.

        Args:
            pids: The processes.
            follow: Also of the children they have from now on, from their first event.

        Raises:
            UsageError: not process ids, or too many.
            ProbeError: the kernel refuses, or cannot follow children.
        """
        raise self._read_only("set a scope")

    def process_tree(self, pid: int) -> ProcessTree:
        """A process with all that descend from it, as far as the engine knows processes."""
        return ProcessTree(pid, lambda: told_processes(self.snapshot().tables.get("process", ())))

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the probe's programs, which costs a little, or no longer.

        Raises:
            RequirementError: without the right.
            ProbeError: the kernel refuses, or there are none.
        """
        raise self._read_only("time kernel programs")

    def set_ports(self, text: str) -> None:
        """Change the ports processes are looked for by, as in `--open-port`."""
        raise self._read_only("set ports")

    def explain(self, pid: int) -> Explanation:
        """Everything about a process, and every condition that selects it or does not.

        Raises:
            ProcessGone: if it has ended, or is hidden.
        """
        raise self._read_only("explain a process")

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process, and of the one that takes its place.

        Raises:
            ProcessGone: there is no such process.
            RequirementError: a right or a dependency is missing.
            FailedError: it cannot be listened to.
        """
        raise self._read_only("attach a process")

    def detach(self, pid: int) -> None:
        """Capture the traffic of a process no longer.

        Raises:
            FailedError: it was not captured.
        """
        raise self._read_only("detach a process")

    def load_plugin(self, executable: Path, *, name: str = "", detail: str = "") -> str:
        """Start a plugin process; returns its name."""
        raise self._read_only("load a plugin")

    def unload_plugin(self, name: str) -> None:
        """Stop a plugin and take it off the list."""
        raise self._read_only("unload a plugin")

    def restart_plugin(self, name: str) -> None:
        """Stop a plugin, if it runs, and start it again."""
        raise self._read_only("restart a plugin")

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Queue a task for a plugin; returns the token its reply will carry."""
        raise self._read_only("send a task")

    def load_module(self, wanted: Wanted, *, name: str = "") -> str:
        """Load a module into a runner of its own; returns its name.

        Raises:
            UsageError: what is wanted cannot be.
            ModuleLoadError: the file is no module.
            RequirementError: running it takes something that is not there.
        """
        raise self._read_only("load a module")

    def call_module(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Call `METHOD` of a module's symbol, or `SYMBOL.METHOD`; returns the call's token.

        Raises:
            UsageError: no such module.
            PluginError: it does not run.
        """
        raise self._read_only("call a module")

    def load_wasm(self, path: Path) -> str:
        """Load a Wasm plugin; returns its name."""
        raise self._read_only("load a Wasm plugin")

    def reload_wasm(self, name: str) -> str:
        """Load a Wasm plugin's file again and offer it its last messages; returns its name."""
        raise self._read_only("reload a Wasm plugin")

    def unload_wasm(self, name: str) -> None:
        """Take a Wasm plugin out of the chain."""
        raise self._read_only("unload a Wasm plugin")

    def rerun_payload(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Offer the message of a `wasm_result` to its plugin again, on a fresh instance.

        Args:
            seq: Number of the result.
            payload: Bytes in place of the message's own.
            cuts: Lengths to cut the payload to, each a result of its own.

        Returns:
            The numbers of the new results.
        """
        raise self._read_only("run a Wasm plugin")

    def loaded(self) -> Loaded:
        """The plugins, modules and Wasm plugins there are, as a workspace names them."""
        from engine.workspace import Loaded

        return Loaded()

    def start_recording(self, path: Path, options: RecordingOptions | None = None) -> None:
        """Record everything from now on into a new file.

        Raises:
            UsageError: the options mean nothing.
            RecordingError: one is being recorded, or the file exists or cannot be made.
        """
        raise self._read_only("record")

    def stop_recording(self) -> RecordingFacts | None:
        """End the recording; returns what it holds, None where nothing was recorded.

        Raises:
            RecordingError: the last of it could not be written.
        """
        raise self._read_only("record")

    def dump_recording(self, path: Path, options: RecordingOptions | None = None) -> RecordingFacts:
        """Write all that the engine's memory still holds into a new file.

        Raises:
            UsageError: the options mean nothing.
            RecordingError: the file exists or cannot be written.
        """
        raise self._read_only("record")

    @property
    def playhead(self) -> Playhead | None:
        """Where a replay is, to be moved; None for a live engine."""
        return None

    def go_to(self, ts_ns: int) -> None:
        """Have a replay be at another moment; waits until what there was then is looked up.

        Raises:
            FailedError: it is a live engine.
        """
        raise self._only_replayed("gone about in")

    def step(self) -> None:
        """Have a replay stand still on its next record.

        Raises:
            FailedError: it is a live engine.
        """
        raise self._only_replayed("stepped through")

    def next_problem(self) -> str:
        """Have a replay stand still on its next loss or error; returns what it is, or nothing.

        Raises:
            FailedError: it is a live engine.
        """
        raise self._only_replayed("searched for problems")

    def _only_replayed(self, what: str) -> FailedError:
        return FailedError(f"only a recording can be {what}", fix="boxscope replay FILE")

    def _read_only(self, what: str) -> FailedError:
        return FailedError(
            f"cannot {what} in a recording", fix="start boxscope without replay to act on this box"
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
