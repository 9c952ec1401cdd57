"""One connection to an engine: the greeting, what it tells, and calls that wait for an answer."""

from __future__ import annotations

import itertools
import os
import queue
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import __version__
from engine.core.errors import AttachError
from engine.remote.address import connect, peer_of
from engine.remote.commands import arguments_to_plain, command_named, result_from
from engine.remote.frames import LARGEST_ANSWER, READ_SIZE, FrameReader, Message, cleaned, encode
from engine.remote.hello import Hello, check_protocol, hello_message
from engine.remote.wire import error_from, from_plain

CONNECT_S = 5.0
"""How long an engine may take to greet."""


@dataclass(frozen=True)
class Welcome:
    """What an engine says first."""

    pid: int
    instance: str
    read_only: bool
    after: Mapping[str, int]


class Link:
    """A connection. One thread reads what is told, any thread calls.

    Args:
        path: Of the engine's socket.
        hello: What is wanted of it.

    Raises:
        AttachError: nobody is there, or it does not let us in.
    """

    def __init__(self, path: Path, hello: Hello) -> None:
        self._socket = connect(path, CONNECT_S)
        self._is_foreign = peer_of(self._socket).uid not in (0, os.geteuid())
        """Whether it is the engine of somebody who could write to our terminal with it."""
        self._reader = FrameReader(LARGEST_ANSWER)
        self._messages = self._received()
        self._numbers = itertools.count(1)
        self._sending = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[int, queue.SimpleQueue[Message]] = {}
        self._over = ""
        try:
            with suppress(OSError):  # one that hangs up has said why
                self._send(hello_message(hello))
            self.welcome = self._greeted()
        except BaseException:
            self._socket.close()
            raise
        self._socket.settimeout(None)

    def _greeted(self) -> Welcome:
        try:
            message = next(self._messages, None)
        except TimeoutError as late:
            raise AttachError(
                f"the engine, process {peer_of(self._socket).pid}, does not answer",
                fix="look whether it is stopped",
            ) from late
        except OSError as gone:
            raise AttachError(f"the engine has hung up: {gone.strerror}") from gone
        if message is None:
            raise AttachError("the engine has hung up")
        if message["type"] == "refused":
            raise error_from(message)
        check_protocol(message, f"boxscope {__version__} here")
        told = {name: message.get(name) for name in Welcome.__dataclass_fields__}
        welcome: Welcome = from_plain(Welcome, told)
        return welcome

    def messages(self) -> Iterator[Message]:
        """What the engine tells, answers excepted, until it has ended; for one thread.

        Raises:
            AttachError: it said what no engine says, or sent us away.
        """
        try:
            for message in self._messages:
                match message["type"]:
                    case "result" | "error":
                        self._hand_over(message)
                    case "refused":
                        raise error_from(message)
                    case _:
                        yield message
        except OSError:
            return

    def call(self, name: str, arguments: Mapping[str, object], timeout_s: float | None) -> Any:
        """Have the engine carry out a command; waits for its answer.

        Raises:
            BoxscopeError: it was refused, or the engine is gone or takes too long.
        """
        command = command_named(name)
        number = next(self._numbers)
        answers: queue.SimpleQueue[Message] = queue.SimpleQueue()
        with self._lock:
            if self._over:
                raise AttachError(self._over)
            self._waiting[number] = answers
        try:
            shown = arguments_to_plain(command, arguments)
            self._send({"type": "call", "id": number, "command": name, "arguments": shown})
            answer = answers.get(timeout=timeout_s)
        except OSError as gone:
            raise AttachError(f"the engine cannot be told: {gone.strerror}") from gone
        except queue.Empty:
            raise AttachError(f"the engine has not answered within {timeout_s:g} s") from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)
        if answer["type"] != "result":
            raise error_from(answer)
        return result_from(command, answer.get("value"))

    def close(self, reason: str = "this console is not attached any more") -> None:
        """End it: whoever waits for an answer is told why there will be none; from any thread."""
        with self._lock:
            self._over = self._over or reason
            waiting = list(self._waiting.values())
        for answers in waiting:
            answers.put({"type": "error", "class": "AttachError", "message": self._over})
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def dispose(self) -> None:
        """Give the socket back, once nobody reads from it any more."""
        self.close()
        self._socket.close()

    def _received(self) -> Iterator[Message]:
        while data := self._socket.recv(READ_SIZE):
            messages = self._reader.feed(data)
            yield from map(cleaned, messages) if self._is_foreign else messages

    def _hand_over(self, message: Message) -> None:
        with self._lock:
            answers = self._waiting.get(message.get("id", 0))
        if answers is not None:
            answers.put(message)

    def _send(self, message: Message) -> None:
        frame = encode(message)
        with self._sending:
            self._socket.sendall(frame)
