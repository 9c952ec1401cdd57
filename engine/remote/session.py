"""One console as the engine sees it: who it is, what it asks for, what it may do.

A thread reads what it asks for. Each request has a thread of its own, a few at a time; who asks for
more is read no further.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from engine import __version__
from engine.core.counters import Counters
from engine.core.errors import AttachError, BoxscopeError, FailedError
from engine.core.kinds import KINDS
from engine.core.lineage import living_processes
from engine.remote.address import Peer
from engine.remote.commands import (
    PROCESSES,
    SET_PIDS,
    SYNC,
    Command,
    arguments_from,
    command_named,
    result_to_plain,
)
from engine.remote.feed import Feed
from engine.remote.frames import (
    LARGEST_ANSWER,
    LARGEST_REQUEST,
    PROTOCOL,
    READ_SIZE,
    FrameReader,
    Message,
    encode,
)
from engine.remote.hello import Hello, read_hello
from engine.remote.scopes import Wish
from engine.remote.teller import Service, Teller
from engine.remote.wire import (
    error_to_plain,
)

GREETING_S = 5.0
"""How long a console may take to say what it wants."""
PER_SECOND = 500
"""Requests read in a second."""


class Session:
    """One console.

    Args:
        service: What it is served by.
        connection: The socket; closed at the end.
        peer: Who it is.
    """

    def __init__(self, service: Service, connection: socket.socket, peer: Peer) -> None:
        self.peer = peer
        self._service = service
        self._socket = connection
        self._reader = FrameReader(LARGEST_REQUEST)
        self._hello = Hello()
        self._feed = Feed(service.engine, {}, every=False)
        self._teller = Teller(service, connection, self._feed)
        self._pace = (0.0, 0)
        """Since when requests are counted, and how many there were."""

    # Rights.

    @property
    def is_owner(self) -> bool:
        """Whether it belongs to root or to whom the engine belongs to."""
        return self.peer.uid in (0, os.geteuid())

    @property
    def read_only(self) -> bool:
        """Whether it may only look."""
        return self._hello.read_only or not self.is_owner

    def _check_right(self, name: str, command: Command) -> None:
        if not command.changes or not self.read_only:
            return
        if self.is_owner:
            raise AttachError(
                f"this console may only look ({name}): it was attached read-only",
                fix="boxscope attach without --read-only",
            )
        raise AttachError(
            f"this console may only look ({name}): it runs as uid {self.peer.uid}, "
            f"the engine as uid {os.geteuid()}",
            fix="attach as the engine's user, or as root",
        )

    # Life.

    def run(self) -> None:
        """Serve it until it goes, or is closed; for a thread of its own."""
        try:
            messages = self._messages()
            self._greet(next(messages, None))
            with suppress(BoxscopeError):
                self._service.scopes.enter(self)
            self._service.note("info", f"{self} is attached")
            self._teller.start()
            for message in messages:
                self._take(message)
        except BoxscopeError as error:
            self._service.note("warning", f"{self} is sent away: {error.message}")
            self.close({"type": "refused", **error_to_plain(error)})
        except OSError:
            pass  # it is gone
        finally:
            self._end()

    def close(self, farewell: Message) -> None:
        """Tell it the last there is, then this, and end; returns at once."""
        self._teller.close(farewell)

    def cut_off(self) -> None:
        """End, whether it listens or not."""
        self._teller.cut_off()

    def _end(self) -> None:
        self._teller.end()
        self._socket.close()
        self._service.note("info", f"{self} is gone: {_told(self._feed.tally.read())}")
        with suppress(BoxscopeError):
            self._service.scopes.leave(self)

    def __str__(self) -> str:
        return f"the console {self.peer.pid} of uid {self.peer.uid}"

    # Reading.

    def _messages(self) -> Iterator[Message]:
        self._socket.settimeout(GREETING_S)
        while data := self._socket.recv(READ_SIZE):
            yield from self._reader.feed(data)

    def _greet(self, message: Message | None) -> None:
        if message is None:
            raise OSError("it went without a word")
        self._hello = read_hello(message)
        self._socket.settimeout(None)
        self._feed = Feed(self._service.engine, self._beginnings(), every=self._hello.every)
        self._teller = Teller(self._service, self._socket, self._feed)
        welcome = {
            "type": "welcome",
            "protocol": PROTOCOL,
            "version": __version__,
            "pid": os.getpid(),
            "instance": self._service.instance,
            "read_only": self.read_only,
            "after": self._feed.cursors,
        }
        self._socket.sendall(encode(welcome))

    def _beginnings(self) -> Mapping[str, int]:
        """For each kind that is wanted, the number after which it is told."""
        engine, hello = self._service.engine, self._hello
        known = hello.after if hello.instance == self._service.instance else {}
        kinds = KINDS if hello.kinds is None else hello.kinds
        last = {kind: engine.last_seq(kind) for kind in kinds if kind in KINDS}
        return {
            kind: min(known.get(kind, max(0, seq - hello.backlog)), seq)
            for kind, seq in last.items()
        }

    def _take(self, message: Message) -> None:
        number = message.get("id")
        if message["type"] != "call" or not isinstance(number, int):
            raise AttachError(f"the console sent no request but {message['type'][:40]!r}")
        self._keep_pace()
        if self._teller.owe():
            threading.Thread(
                target=self._carry_out, args=(number, message), name="attach-request", daemon=True
            ).start()

    def _keep_pace(self) -> None:
        """Read no faster than so many requests a second."""
        begun, count = self._pace
        left = begun + 1.0 - time.monotonic()
        if count >= PER_SECOND and left > 0:
            self._teller.wait(left)
        self._pace = (
            (begun, count + 1) if left > 0 and count < PER_SECOND else (time.monotonic(), 1)
        )

    # Carrying out.

    def _carry_out(self, number: int, message: Message) -> None:
        name, picture = message.get("command"), False
        try:
            command = command_named(name)
            self._check_right(str(name), command)
            arguments = arguments_from(command, message.get("arguments"))
            picture = command.changes or name == SYNC
            value = result_to_plain(command, self._call(str(name), arguments))
            answer = encode({"type": "result", "id": number, "value": value})
            if len(answer) > LARGEST_ANSWER:
                raise FailedError(f"the answer has {len(answer)} bytes, which is too much")
        except BoxscopeError as error:
            answer = encode({"type": "error", "id": number, **error_to_plain(error)})
        except Exception as fault:  # a bug in one command must not end the console
            self._service.note("error", f"{name} has failed: {fault!r}")
            failed = FailedError(f"{name} has failed in the engine: {fault!r}")
            answer = encode({"type": "error", "id": number, **error_to_plain(failed)})
        self._teller.answer(answer, picture=picture)

    def _call(self, name: str, arguments: Mapping[str, Any]) -> object:
        match name:
            case _ if name == SYNC:
                return None
            case _ if name == PROCESSES:
                return list(living_processes())
            case _ if name == SET_PIDS:
                if not self.read_only:
                    wish = Wish(arguments["pids"], arguments["follow"])
                    self._service.scopes.wish(self, wish)
                return None
        return getattr(self._service.engine, name)(**arguments)


def _told(counters: Counters) -> str:
    lost = ", ".join(f"{count} {reason}" for reason, count in counters.dropped.items()) or "0"
    return f"seen {counters.seen} kept {counters.kept} dropped {lost}"
