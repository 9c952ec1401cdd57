"""An engine's door: accepts consoles, and lets in whom it may."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self
from uuid import uuid4

from engine.core.errors import AttachError
from engine.core.sanitise import clean
from engine.core.source import LogLevel
from engine.engine import Engine
from engine.remote.address import Claim, Peer, peer_of
from engine.remote.frames import encode
from engine.remote.scopes import Scopes
from engine.remote.session import Session
from engine.remote.teller import Service
from engine.remote.wire import error_to_plain

MOST, MOST_STRANGERS = 16, 8
"""Consoles at a time; of other users than the owner and root."""
PARTING_S = 0.25
"""How long consoles may take to hear the last when the engine ends."""


class EngineServer:
    """Serves an engine to consoles; a context manager around the engine's life.

    The engine is started and stopped by somebody else, between entering and leaving.

    Args:
        engine: The engine.
        claim: Where it listens; released at the end.
        base_pids: The processes it was told to deliver kernel events of; none for all.
        note: Writes to the engine's log.
    """

    def __init__(
        self,
        engine: Engine,
        claim: Claim,
        *,
        base_pids: frozenset[int] = frozenset(),
        note: Callable[[LogLevel, str], None],
    ) -> None:
        self._claim = claim
        self._service = Service(
            engine,
            Scopes(engine.set_pids, base_pids),
            uuid4().hex,
            lambda level, text: note(level, clean(text)),
        )
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="attach-door", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def consoles(self) -> int:
        """How many are attached."""
        with self._lock:
            return len(self._sessions)

    def stop(self) -> None:
        """Tell all consoles the last there is, and let nobody in any more."""
        self._stopping.set()
        with suppress(OSError):
            self._claim.socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.close({"type": "bye", "reason": "the engine was stopped"})
        end = time.monotonic() + PARTING_S
        while self.consoles and time.monotonic() < end:
            time.sleep(0.005)
        for session in sessions:
            session.cut_off()
        self._claim.release()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._claim.socket.accept()
            except OSError:
                if self._stopping.is_set():
                    return
                time.sleep(0.1)  # out of descriptors, which passes
                continue
            self._let_in(connection)

    def _let_in(self, connection: socket.socket) -> None:
        peer = peer_of(connection)
        try:
            self._check(peer)
        except AttachError as refusal:
            self._service.note("warning", f"uid {peer.uid} is not let in: {refusal.message}")
            connection.settimeout(0.1)
            with suppress(OSError):
                connection.sendall(encode({"type": "refused", **error_to_plain(refusal)}))
            connection.close()
            return
        session = Session(self._service, connection, peer)
        with self._lock:
            self._sessions.add(session)
        threading.Thread(
            target=self._serve, args=(session,), name="attach-reader", daemon=True
        ).start()

    def _check(self, peer: Peer) -> None:
        """Whether somebody may come in.

        Raises:
            AttachError: not this one, or not now.
        """
        stranger = peer.uid not in (0, os.geteuid())
        if stranger and not self._claim.group:
            raise AttachError(
                f"this engine belongs to uid {os.geteuid()} and has no group",
                fix="have it started with --group",
            )
        with self._lock:
            strangers = sum(not session.is_owner for session in self._sessions)
            several = len(self._sessions)
        if several >= MOST or (stranger and strangers >= MOST_STRANGERS):
            raise AttachError(
                f"{several} consoles are attached to this engine, which is as many as can be",
                fix="close one of them",
            )

    def _serve(self, session: Session) -> None:
        try:
            session.run()
        finally:
            with self._lock:
                self._sessions.discard(session)
