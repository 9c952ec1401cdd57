"""Tasks for one plugin: queued, written to its pipe, and matched with the replies."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from os import write as os_write

from engine.agent.messages import decode_record, encode_task
from engine.agent.wire import PREFIX, frame
from engine.core.errors import PluginError, UsageError
from engine.core.sanitise import clean

MAX_TASKS = 256
MAX_BYTES = 1024 * 1024
"""Of queued tasks together; the official Go SDK takes no single task above 1 MiB either."""
MAX_AWAITED = 256
"""Tasks whose reply is still looked for; older ones are given up."""


@dataclass(slots=True)
class _Task:
    token: str
    data_type: int
    queued_ns: int
    """Monotonic."""
    frame: bytes


class TaskQueue:
    """The tasks of one plugin process.

    `put` and `last` may be used from any thread, everything else from the thread that owns the
    pipes. A task is queued, then written, then replied to by a record that carries its token,
    or lost when the plugin goes away first.
    """

    def __init__(self, plugin: str, token_prefix: str) -> None:
        self.written_count = 0
        """Tasks that were written whole."""
        self.written_bytes = 0
        """Their bytes, length prefixes included."""
        self.last = ""
        """The last thing that happened to a task, as text fit to be shown."""
        self._plugin = plugin
        self._prefix = token_prefix.encode()
        self._lock = threading.Lock()
        self._queue: deque[_Task] = deque()
        self._queued_bytes = 0
        self._cut = b""
        """What is left of the first task in the queue, if its beginning was written."""
        self._awaited: dict[str, _Task] = {}
        self._closed = ""

    def put(self, token: str, data_type: int, data: str, now_ns: int) -> None:
        """Queue a task.

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
        with self._lock:
            if self._closed:
                raise PluginError(f"plugin {self._plugin} takes no tasks: {self._closed}")
            if len(self._queue) >= MAX_TASKS or self._queued_bytes + len(encoded) > MAX_BYTES:
                raise PluginError(
                    f"plugin {self._plugin} has not read {len(self._queue)} earlier tasks "
                    f"({self._queued_bytes} bytes); this one of {len(encoded)} bytes is refused",
                    fix="wait until it reads its tasks, or restart it",
                )
            self._queue.append(_Task(token, data_type, now_ns, encoded))
            self._queued_bytes += len(encoded)
            self.last = f"{data_type} queued"

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
        with self._lock:
            self._queue.popleft()
            self._queued_bytes -= len(task.frame)
            self.last = f"{task.data_type} written"
        self.written_count += 1
        self.written_bytes += len(task.frame)
        self._awaited[task.token] = task
        if len(self._awaited) > MAX_AWAITED:
            del self._awaited[next(iter(self._awaited))]

    def match_replies(self, data: bytes, offsets: list[int], now_ns: int) -> None:
        """Look for replies among records that have just come in.

        Args:
            data: Frames, length prefixes included.
            offsets: Where each begins, and where the last one ends.
            now_ns: Monotonic time.
        """
        if not self._awaited:
            return
        position = data.find(self._prefix)
        while position >= 0:
            index = bisect_right(offsets, position) - 1
            begin, end = offsets[index], offsets[index + 1]
            fields = decode_record(data[begin + PREFIX.size : end]).fields
            task = self._awaited.pop(fields.get(b"token", b"").decode("ascii", "replace"), None)
            if task is not None:
                self.last = _outcome(task, fields, now_ns)
            position = data.find(self._prefix, end)

    def close(self, reason: str) -> None:
        """Take no more tasks; those without a reply are lost."""
        with self._lock:
            self._closed = reason
            lost = [*self._awaited.values(), *self._queue]
            if lost:
                self.last = f"{lost[-1].data_type} lost: {reason}"
            self._queue.clear()
            self._queued_bytes = 0
            self._cut = b""
            self._awaited.clear()


def _outcome(task: _Task, fields: dict[bytes, bytes], now_ns: int) -> str:
    status = clean(fields.get(b"status", b"replied"), 16)
    message = clean(fields.get(b"msg", b""), 80)
    quoted = f': "{message}"' if message else ""
    return f"{task.data_type} -> {status}{quoted} in {(now_ns - task.queued_ns) / 1e6:.0f} ms"
