"""What is written to one console: records and pictures as they come, answers between them.

A thread of its own writes, so that a console that does not read blocks that and nothing else.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.records import Record
from engine.core.source import LogLevel
from engine.engine import Engine
from engine.remote.feed import Feed
from engine.remote.frames import Message, encode, framed
from engine.remote.scopes import Scopes
from engine.remote.wire import LARGEST_RECORD, pieces, record_text, snapshot_message

TICK_S = 0.025
"""Between two looks at what is new."""
PICTURE_S = 1.0
AT_ONCE = 4
"""Answers that are owed at a time."""
_PARTING_S = 1.0


@dataclass(frozen=True)
class Service:
    """What all consoles of an engine have in common."""

    engine: Engine
    scopes: Scopes
    instance: str
    """Tells one run of an engine from the next, whose records have other numbers."""
    note: Callable[[LogLevel, str], None]
    """Writes to the engine's log."""


class _Answer(NamedTuple):
    """An answer that waits to be sent."""

    frame: bytes
    picture: bool
    """Whether a picture is to be sent before it."""


class Teller:
    """Writes to one console.

    Args:
        service: Whose engine it tells of.
        connection: The socket; belongs to who reads from it.
        feed: The records.
    """

    def __init__(self, service: Service, connection: socket.socket, feed: Feed) -> None:
        self._service = service
        self._socket = connection
        self._feed = feed
        self._rows: dict[str, list[str]] = {}
        self._answers: list[_Answer] = []
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(AT_ONCE)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._farewell: Message | None = None
        self._picture_due = 0.0
        self._thread = threading.Thread(target=self._run, name="attach-writer", daemon=True)

    def start(self) -> None:
        """Begin to tell."""
        self._thread.start()

    def close(self, farewell: Message) -> None:
        """Tell the last there is, then this, and end; returns at once."""
        self._farewell = farewell
        self._closing.set()
        self._wake.set()

    def end(self) -> None:
        """Wait until what is still to be told is told; not for long, and not if it is gone."""
        if self._farewell is None:
            self.cut_off()
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(_PARTING_S)
        elif self._farewell is not None:
            self._say_farewell()
        self.cut_off()

    def cut_off(self) -> None:
        """End the connection, whether anybody listens or not."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def wait(self, seconds: float) -> None:
        """Wait, unless it ends before."""
        self._closing.wait(seconds)

    # Answers.

    def owe(self) -> bool:
        """Take it on to answer a request, as soon as so few are owed; False if it ends before."""
        while not self._slots.acquire(timeout=0.2):
            if self._closing.is_set():
                return False
        return True

    def answer(self, frame: bytes, *, picture: bool) -> None:
        """Send an answer that is owed, after a picture if that has changed."""
        with self._lock:
            self._answers.append(_Answer(frame, picture))
        self._wake.set()

    # The thread.

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn()
                self._wake.wait(0 if self._feed.behind() else TICK_S)
                self._wake.clear()
            self._picture_due = 0.0
            self._turn()
            self._say_farewell()
        except OSError:
            pass  # it is gone
        except Exception as fault:  # a bug here must not leave a console without a word
            self._service.note("error", f"a console cannot be served: {fault!r}")
        finally:
            self._closing.set()
            self.cut_off()

    def _turn(self) -> None:
        with self._lock:
            answers, self._answers = self._answers, []
        for frame in self._feed.frames(time.monotonic_ns(), time.time_ns()):
            self._socket.sendall(frame)
        if any(answer.picture for answer in answers) or time.monotonic() >= self._picture_due:
            self._picture_due = time.monotonic() + PICTURE_S
            for frame in self._picture():
                self._socket.sendall(frame)
        for answer in answers:
            self._socket.sendall(answer.frame)
            self._slots.release()

    def _picture(self) -> Iterator[bytes]:
        """The tables that have changed, then the rest."""
        snapshot = self._service.engine.snapshot()
        for kind, rows in snapshot.tables.items():
            texts = _texts(rows)
            if texts != self._rows.get(kind):
                self._rows[kind] = texts
                yield from _rows_frames(kind, texts)
        yield encode(snapshot_message(snapshot))

    def _say_farewell(self) -> None:
        if self._farewell is not None:
            with suppress(OSError):
                self._socket.sendall(encode(self._farewell))


def _texts(rows: tuple[Record, ...]) -> list[str]:
    return [text for text in map(record_text, rows) if len(text) <= LARGEST_RECORD]


def _rows_frames(kind: str, texts: list[str]) -> Iterator[bytes]:
    first = "true"
    for piece in pieces(texts) if texts else [[]]:
        yield framed(
            f'{{"type":"rows","kind":"{kind}","first":{first},"rows":[{",".join(piece)}]}}'
        )
        first = "false"
