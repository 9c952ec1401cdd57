"""Tasks for one plugin: queued, written to its pipe, and matched with the replies."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import write as os_write
from typing import Literal, NamedTuple

from engine.agent.decode import decode_record
from engine.agent.messages import encode_task
from engine.agent.wire import PREFIX, Frames, find_offsets, frame
from engine.core.errors import PluginError, UsageError
from engine.core.sanitise import clean

MAX_TASKS = 256
MAX_BYTES = 1024 * 1024
"""Of queued tasks together; the official Go SDK takes no single task above 1 MiB either."""
MAX_AWAITED = 256
"""Tasks whose reply is still looked for; older ones are given up."""
KEPT = 256
"""Tasks whose fate is remembered."""

REPLY_TYPES = frozenset({2001, 2003, 5100, 5101, 6000, 8010})
"""Data types a server takes as the reply to a task, if the token is the task's."""

AGENT_REJECTION = "plugin is processing task or context has been cancled"
"""The agent's own words when a task comes before the one before it has been written."""

TaskState = Literal["queued", "written", "replied", "lost"]


class TaskStatus(NamedTuple):
    """What has become of one task."""

    token: str
    data_type: int
    state: TaskState
    detail: str
    """The reply, or why it was lost; as text fit to be shown."""
    elapsed_ms: float
    """From queueing to the state it is in."""

    def __str__(self) -> str:
        if self.state == "replied":
            return f"{self.data_type} -> {self.detail} in {self.elapsed_ms:.0f} ms"
        shown = f"{self.data_type} {self.state}"
        return f"{shown}: {self.detail}" if self.detail else shown


@dataclass(slots=True)
class _Task:
    status: TaskStatus
    queued_ns: int
    """Monotonic."""
    frame: bytes

    def become(self, state: TaskState, now_ns: int, detail: str = "") -> str:
        """Take on a state; returns it as text."""
        elapsed_ms = (now_ns - self.queued_ns) / 1e6
        self.status = self.status._replace(state=state, detail=detail, elapsed_ms=elapsed_ms)
        return str(self.status)


class TaskQueue:
    """The tasks of one plugin process.

    `put`, `last`, `waiting` and `statuses` may be used from any thread, everything else from the
    thread that owns the pipes. A task is queued, then written, then replied to by a record that
    carries its token, or lost when the plugin goes away first.
    """

    def __init__(self, plugin: str, token_prefix: str, now_ns: Callable[[], int]) -> None:
        """Make an empty queue.

        Args:
            plugin: Whose tasks these are.
            token_prefix: What every token begins with.
            now_ns: Monotonic time.
        """
        self.written_count = 0
        """Tasks that were written whole."""
        self.written_bytes = 0
        """Their bytes, length prefixes included."""
        self.last = ""
        """The last thing that happened to a task, as text fit to be shown."""
        self._plugin = plugin
        self._prefix = token_prefix.encode()
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._queue: deque[_Task] = deque()
        self._queued_bytes = 0
        self._cut = b""
        """What is left of the first task in the queue, if its beginning was written."""
        self._awaited: dict[str, _Task] = {}
        self._known: deque[_Task] = deque(maxlen=KEPT)
        self._closed = ""

    @property
    def waiting(self) -> int:
        """How many tasks are not yet written whole."""
        return len(self._queue)

    def statuses(self) -> tuple[TaskStatus, ...]:
        """What has become of the newest tasks, oldest first."""
        with self._lock:
            return tuple(task.status for task in self._known)

    def put(self, token: str, data_type: int, data: str, *, strict: bool = False) -> None:
        """Queue a task.

        Args:
            token: What the reply will carry.
            data_type: The task's type.
            data: Its content.
            strict: Reject it, as the agent does, unless every earlier one has been written.

        Raises:
            UsageError: the data type is no int32, or the data no valid Unicode.
            PluginError: the queue is full, or the plugin takes no more tasks.
        """
        try:
            encoded = frame(encode_task(data_type, self._plugin, data, token))
        except ValueError as invalid:
            raise UsageError(
                f"not a task: type {data_type} with data {clean(data, 80)!r}",
                fix="the type is a number of 32 bits, the data is text",
            ) from invalid
        task = _Task(TaskStatus(token, data_type, "queued", "", 0.0), self._now_ns(), encoded)
        with self._lock:
            if strict and (self._closed or self._queue):
                raise PluginError(
                    AGENT_REJECTION, fix="an agent does not tell its server; send the task again"
                )
            if self._closed:
                raise PluginError(f"plugin {self._plugin} takes no tasks: {self._closed}")
            self._check_room(len(encoded))
            self._queue.append(task)
            self._known.append(task)
            self._queued_bytes += len(encoded)
            self.last = str(task.status)

    def _check_room(self, size: int) -> None:
        if size - PREFIX.size > MAX_BYTES:
            raise PluginError(
                f"a task of {size - PREFIX.size} bytes is refused: "
                f"the official Go SDK takes none above {MAX_BYTES}",
                fix="make it smaller",
            )
        if not self._queue:
            return
        if len(self._queue) >= MAX_TASKS or self._queued_bytes + size > MAX_BYTES:
            raise PluginError(
                f"plugin {self._plugin} has not read {len(self._queue)} earlier tasks "
                f"({self._queued_bytes} bytes); this one of {size} bytes is refused",
                fix="wait until it reads its tasks, or restart it",
            )

    def write(self, pipe: int) -> bool:
        """Write what the pipe takes; True if nothing is left.

        Raises:
            BrokenPipeError: nobody reads the pipe any more.
        """
        while self._queue:
            task = self._queue[0]
            pending = self._cut or task.frame
            try:
                written = os_write(pipe, pending)
            except BlockingIOError:
                return False
            self._cut = pending[written:]
            if not self._cut:
                self._written(task)
        return True

    def _written(self, task: _Task) -> None:
        now_ns = self._now_ns()
        with self._lock:
            self._queue.popleft()
            self._queued_bytes -= len(task.frame)
            self.last = task.become("written", now_ns)
        self.written_count += 1
        self.written_bytes += len(task.frame)
        task.frame = b""
        self._awaited[task.status.token] = task
        if len(self._awaited) > MAX_AWAITED:
            given_up = self._awaited.pop(next(iter(self._awaited)))
            given_up.become("written", now_ns, "its reply is no longer looked for")

    def match_replies(self, frames: Frames) -> None:
        """Look for replies among records that have just come in."""
        if not self._awaited:
            return
        data = frames.data
        position = data.find(self._prefix)
        offsets = find_offsets(data, frames.kept) if position >= 0 else []
        while position >= 0:
            index = bisect_right(offsets, position) - 1
            begin, end = offsets[index], offsets[index + 1]
            self._match(data[begin + PREFIX.size : end])
            position = data.find(self._prefix, end)

    def _match(self, body: bytes) -> None:
        record = decode_record(body)
        token = record.fields.get(b"token", b"").decode("ascii", "replace")
        task = self._awaited.get(token)
        if task is None:
            return
        now_ns = self._now_ns()
        if record.data_type in REPLY_TYPES:
            del self._awaited[token]
            self.last = task.become("replied", now_ns, _outcome(record.fields))
        else:
            note = f"its token came in a record of type {record.data_type}, which is no reply"
            self.last = task.become("written", now_ns, note)

    def close(self, reason: str) -> None:
        """Take no more tasks; those that were not written are lost, replies can still come."""
        with self._lock:
            self._closed = reason
            self._lose(self._queue, reason)
            self._queue.clear()
            self._queued_bytes = 0
            self._cut = b""

    def give_up(self, reason: str) -> None:
        """Nothing will be read or replied any more; every task without a reply is lost."""
        self.close(reason)
        with self._lock:
            self._lose(self._awaited.values(), reason)
            self._awaited.clear()

    def _lose(self, tasks: Iterable[_Task], reason: str) -> None:
        now_ns = self._now_ns()
        for task in tasks:
            self.last = task.become("lost", now_ns, reason)


def _outcome(fields: dict[bytes, bytes]) -> str:
    status = clean(fields.get(b"status", b"replied"), 16)
    message = clean(fields.get(b"msg", b""), 80)
    return f'{status}: "{message}"' if message else status
