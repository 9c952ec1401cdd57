"""Write a plugin for an Elkeid agent, or for boxscope, in Python.

This file stands alone: copy it next to your plugin. It needs Python 3.9 and its standard
library, nothing else. The agent starts a plugin with its tasks on file descriptor 3 and
takes its records from file descriptor 4; both carry protobuf messages behind a 4-byte
little-endian length (the Elkeid plugin protocol).

    client = Client()
    client.send_record(7000, {"load_1": "0.42"})
    while (task := client.receive_task()) is not None:
        client.reply(task, True, "done")
    client.close()

Rules the agent does not forgive, and which this file keeps for you: a record's data type
and timestamp are never 0, its fields stand in order, and the third one is always present.
Not kept for you: stdout is the null device and stderr is truncated at each start; leave
when `receive_task` returns None, or the agent kills the process group 10 s later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple

TASK_FD = 3
RECORD_FD = 4
REPLY = 5100
"""Data type of a task's result: fields token, status (`succeed` or `failed`) and msg."""

FLUSH_INTERVAL_S = 0.2
BUFFER_BYTES = 512 * 1024
LINGER_S = 1.0
"""How long `close` waits for the agent to have read what is in the pipe."""
TERMINATE_S = 3.0
"""How long a plugin that ignores SIGTERM goes on after it."""

_LENGTH = struct.Struct("<I")
_MASK_64 = (1 << 64) - 1


class Task(NamedTuple):
    """What the agent asks the plugin to do."""

    data_type: int
    object_name: str
    """The plugin's name."""
    data: str
    """Opaque to the agent, usually JSON."""
    token: str
    """Goes back in the result's `token` field."""


class Client:
    """The plugin's end of both pipes. Every method may be called from any thread.

    Records are collected and written every 200 ms, when 512 KiB have come together, and on
    `flush`. `send_record` waits while the pipe is full: a slow agent slows the plugin down.
    """

    def __init__(
        self,
        task_fd: int = TASK_FD,
        record_fd: int = RECORD_FD,
        *,
        ignore_terminate: bool = False,
    ) -> None:
        """Take over both pipes.

        Args:
            task_fd: Where tasks come from.
            record_fd: Where records go.
            ignore_terminate: Ignore SIGINT and SIGUSR1, and go on for 3 s after SIGTERM. When a
                service manager stops the agent, it sends SIGTERM to the plugins too; the agent
                still takes records, and closes the task pipe in the end. Main thread only.
        """
        self._task_fd = task_fd
        self._record_fd = record_fd
        self._buffer = bytearray()
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._newest_head = (0, 0, b"")
        self._gone: OSError | None = None
        self._closed = threading.Event()
        self._flusher = threading.Thread(target=self._flush_regularly, daemon=True)
        self._flusher.start()
        if ignore_terminate:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, self._leave_later)

    def send_record(
        self, data_type: int, fields: Mapping[str, str], timestamp: int | None = None
    ) -> None:
        """Queue one record.

        Args:
            data_type: What the record is: any int32 but 0.
            fields: The record's content. What is not valid Unicode is sent escaped.
            timestamp: Unix seconds; now if it is left out or 0.

        Raises:
            ValueError: data type or timestamp out of range.
            TypeError: a key or value that is not text.
            BrokenPipeError: the agent no longer reads; the plugin should exit.
        """
        stamp = timestamp or int(time.time())
        head_type, head_stamp, head = self._newest_head
        if head_type != data_type or head_stamp != stamp:
            head = encode_head(data_type, stamp)
            self._newest_head = (data_type, stamp, head)
        payload = encode_fields(fields)
        size = len(payload)
        prefix = _SIZES[size] if size < _KNOWN_SIZES else _varint(size)
        body = b"".join((head, b"\x1a", prefix, payload))
        with self._write_lock:
            if self._gone:
                raise BrokenPipeError(errno.EPIPE, "the agent no longer reads")
            self._buffer += _LENGTH.pack(len(body))
            self._buffer += body
            if len(self._buffer) >= BUFFER_BYTES:
                self._write_out()

    def reply(self, task: Task, succeeded: bool, message: str = "") -> None:
        """Send a task's result at once.

        Raises:
            BrokenPipeError: the agent no longer reads.
        """
        status = "succeed" if succeeded else "failed"
        self.send_record(REPLY, {"token": task.token, "status": status, "msg": message})
        self.flush()

    def flush(self) -> None:
        """Write out everything queued so far; waits while the pipe is full.

        Raises:
            BrokenPipeError: the agent no longer reads.
        """
        with self._write_lock:
            self._write_out()

    def receive_task(self) -> Task | None:
        """Wait for the next task; None when the agent wants the plugin to exit.

        Raises:
            ValueError: the task is not a protobuf message. The next call reads the next task.
        """
        with self._read_lock:
            header = self._read_exactly(_LENGTH.size)
            if header is None:
                return None
            body = self._read_exactly(_LENGTH.unpack(header)[0])
        return None if body is None else decode_task(body)

    def close(self) -> None:
        """Flush, then wait up to a second until the agent has read the pipe empty.

        An agent may close its end as soon as the plugin has exited and lose what is unread.
        """
        if self._closed.is_set():
            return
        self._closed.set()
        self._flusher.join()
        try:
            self.flush()
        except BrokenPipeError:
            return
        deadline = time.monotonic() + LINGER_S
        while self._unread() and time.monotonic() < deadline:
            time.sleep(0.002)

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _leave_later(self, *_: object) -> None:
        timer = threading.Timer(TERMINATE_S, self._leave)
        timer.daemon = True
        timer.start()

    def _leave(self) -> None:
        try:
            self.close()
        finally:
            os._exit(0)

    def _flush_regularly(self) -> None:
        while not self._closed.wait(FLUSH_INTERVAL_S):
            try:
                self.flush()
            except BrokenPipeError:
                return

    def _write_out(self) -> None:
        if self._gone:
            raise BrokenPipeError(errno.EPIPE, "the agent no longer reads")
        pending, self._buffer = self._buffer, bytearray()
        with memoryview(pending) as view:
            written = 0
            while written < len(view):
                try:
                    written += os.write(self._record_fd, view[written:])
                except BrokenPipeError as gone:
                    self._gone = gone
                    raise

    def _read_exactly(self, count: int) -> bytes | None:
        parts = []
        while count:
            part = os.read(self._task_fd, count)
            if not part:
                return None
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _unread(self) -> int:
        try:
            answer = fcntl.ioctl(self._record_fd, termios.FIONREAD, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(answer, "little")


def encode_head(data_type: int, timestamp: int) -> bytes:
    """Fields 1 and 2 of a record.

    Raises:
        ValueError: one of them is 0 or out of range; a real agent would misread the record.
    """
    if not data_type or not -(1 << 31) <= data_type < 1 << 31:
        raise ValueError(f"a record's data type is an int32 other than 0, not {data_type}")
    if not timestamp or not -(1 << 63) <= timestamp < 1 << 63:
        raise ValueError(f"a record's timestamp is an int64 other than 0, not {timestamp}")
    return b"\x08" + _varint(data_type) + b"\x10" + _varint(timestamp)


def encode_fields(fields: Mapping[str, str]) -> bytes:
    """A record's payload: a protobuf map, key and value always written.

    Raises:
        TypeError: a key or value is not text.
    """
    parts: list[bytes] = []
    pairs = fields.items()
    try:
        for name, text in pairs:
            key = name.encode("utf-8", "backslashreplace")
            value = text.encode("utf-8", "backslashreplace")
            key_size, value_size = len(key), len(value)
            if key_size + value_size < 124:
                parts += (
                    b"\x0a", _SIZES[key_size + value_size + 4],
                    b"\x0a", _SIZES[key_size], key,
                    b"\x12", _SIZES[value_size], value,
                )  # fmt: skip
            elif key_size + value_size < _KNOWN_SIZES - 6:
                key_prefix, value_prefix = _SIZES[key_size], _SIZES[value_size]
                entry_size = 2 + len(key_prefix) + key_size + len(value_prefix) + value_size
                parts += (
                    b"\x0a", _SIZES[entry_size],
                    b"\x0a", key_prefix, key,
                    b"\x12", value_prefix, value,
                )  # fmt: skip
            else:
                entry = b"\x0a" + _varint(key_size) + key + b"\x12" + _varint(value_size) + value
                parts += (b"\x0a", _varint(len(entry)), entry)
    except AttributeError:
        raise TypeError(f"a record's fields are text, not {name!r}: {text!r}") from None
    return b"".join(parts)


def encode_record(data_type: int, timestamp: int, fields: Mapping[str, str]) -> bytes:
    """A whole record, without its length prefix.

    Raises:
        ValueError: data type or timestamp is 0 or out of range.
        TypeError: a key or value is not text.
    """
    payload = encode_fields(fields)
    return b"".join((encode_head(data_type, timestamp), b"\x1a", _varint(len(payload)), payload))


def decode_task(body: bytes) -> Task:
    """Read a Task message; fields it does not know are skipped.

    Raises:
        ValueError: not a protobuf message.
    """
    number, texts, position = 0, {2: "", 3: "", 4: ""}, 0
    while position < len(body):
        tag, position = _read_varint(body, position)
        field, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            value, position = _read_varint(body, position)
            if field == 1:
                number = (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
        elif wire_type == 2:
            size, position = _read_varint(body, position)
            if field in texts:
                texts[field] = body[position : position + size].decode("utf-8", "backslashreplace")
            position += size
        elif wire_type in (1, 5):
            position += 8 if wire_type == 1 else 4
        else:
            raise ValueError(f"not a protobuf message: wire type {wire_type}")
    if position > len(body):
        raise ValueError("not a protobuf message: cut short")
    return Task(number, texts[2], texts[3], texts[4])


def _varint(number: int) -> bytes:
    number &= _MASK_64
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _read_varint(body: bytes, position: int) -> tuple[int, int]:
    number = 0
    for count, byte in enumerate(body[position : position + 10]):
        number |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return number, position + count + 1
    raise ValueError("not a protobuf message: a number is cut short")


_KNOWN_SIZES = 2048
_SIZES = tuple(map(_varint, range(_KNOWN_SIZES)))
"""Varints of the lengths that records are mostly made of."""
