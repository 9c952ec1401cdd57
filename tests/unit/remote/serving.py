"""An engine with its door open, in this process, and what knocks at it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from engine.core.source import LogLevel
from engine.engine import Engine
from engine.remote.address import Claim
from engine.remote.frames import LARGEST_ANSWER, FrameReader, Message, encode
from engine.remote.hello import Hello, hello_message
from engine.remote.server import EngineServer


@dataclass
class Served:
    """An engine that can be attached to."""

    path: Path
    server: EngineServer
    notes: list[str] = field(default_factory=list)


@contextmanager
def served(engine: Engine, folder: Path, group: str = "") -> Iterator[Served]:
    """Serve an engine for as long as the block runs."""
    notes: list[str] = []

    def note(level: LogLevel, text: str) -> None:
        notes.append(f"{level}: {text}")

    claim = Claim(folder / "engine.sock", group)
    with EngineServer(engine, claim, note=note) as server:
        yield Served(claim.path, server, notes)


class RawConsole:
    """Speaks the protocol by hand, and breaks it where a test wants that."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self._reader = FrameReader(LARGEST_ANSWER)
        self._messages = self._received()

    def greet(self, hello: Hello | None = None) -> Message:
        """Say hello; returns what is answered."""
        self.send(hello_message(hello or Hello()))
        return self.next()

    def send(self, message: Message) -> None:
        """Send a message."""
        self.socket.sendall(encode(message))

    def next(self, *wanted: str) -> Message:
        """The next message, of one of these types if any are named."""
        return next(each for each in self._messages if not wanted or each["type"] in wanted)

    def closed(self) -> bool:
        """Read on to the end; True if there is one."""
        for _ in self._messages:
            pass
        return True

    def close(self) -> None:
        """Go."""
        self.socket.close()

    def _received(self) -> Iterator[Message]:
        try:
            while data := self.socket.recv(1 << 16):
                yield from self._reader.feed(data)
        except ConnectionResetError:
            return
