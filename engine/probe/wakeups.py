"""Tells at once when a process starts another program, ends, or begins or ceases to listen.

It has programs and a ring of its own, so that subscriptions, filters and their counters are not
concerned. Nothing is attached to system calls and nothing at all while nobody watches. Not seen,
because no tracepoint tells: bind, which is all there is to an unconnected UDP socket, and fork.
"""

from __future__ import annotations

import os
import select
import struct
import threading
from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum
from typing import Literal, TypeAlias

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe.attachments import Attachments
from engine.probe.bytecode import LoadedPrograms
from engine.probe.per_cpu import PerCpuCounters
from engine.probe.ring import RingReader, spans

WAKEUP_PROGRAMS = ("on_exec_wake", "on_exit_wake", "on_listen_wake")
WAKEUP_RING_BYTES = 64 << 10

_WAKEUP = struct.Struct("<II")
"""struct wakeup: kind, tgid."""
_LOST = struct.Struct("<Q")
_SETTLE_S = 0.002
"""From the first wake-up to the callback: an event is told of from within the call that causes
it, before the socket can be found in the kernel's tables; and a burst becomes one batch."""

Change = Literal["listen", "exec", "exit"]
ProcessCallback: TypeAlias = Callable[[Change, int | None], None]
"""Told what happened to which process; None means to some, or to all of them. It is called from
a thread of the probe's, and must not wait."""


class _Kind(IntEnum):
    EXEC = 1
    EXIT = 2
    LISTEN = 3


_CHANGES: Mapping[int, Change] = {
    _Kind.EXEC: "exec",
    _Kind.EXIT: "exit",
    _Kind.LISTEN: "listen",
}


def wakeup_definitions() -> dict[str, int]:
    """The definitions `bpf/wakeups.c` asks for beside those of `engine.probe.definitions`."""
    return {
        "WAKEUP_SIZE": _WAKEUP.size,
        **{f"WAKE_{kind.name}": kind.value for kind in _Kind},
    }


class WakeUpTap:
    """Ring, counter and attachments of the wake-up programs.

    Args:
        loaded: The descriptors; not closed here.
        foreign_pids: Whether the kernel's process ids are not those of this pid namespace.

    Raises:
        OSError: if the ring cannot be mapped.
    """

    def __init__(self, loaded: LoadedPrograms, *, foreign_pids: bool) -> None:
        self.descriptor = loaded.maps["wakeup_ring"]
        self._ring = RingReader(self.descriptor, WAKEUP_RING_BYTES)
        self._losses = PerCpuCounters(loaded.maps["wakeups_lost"], _LOST)
        self._foreign_pids = foreign_pids
        self._attachments = Attachments(loaded.programs, loaded.refused)
        self._lost = 0

    def attach(self) -> str:
        """Attach what the kernel takes; returns why something is missing, or nothing.

        What the ring still had from an earlier time is dropped.
        """
        attached: list[str] = []
        missing = ""
        for program in WAKEUP_PROGRAMS:
            try:
                self._attachments.require([*attached, program])
            except ProbeError as refused:
                missing = refused.message
            else:
                attached.append(program)
        self.take()
        return missing

    def take(self) -> Iterable[tuple[Change, int | None]]:
        """What happened since, in turn, each once.

        Raises:
            OSError: if the kernel refuses to tell what was lost.
        """
        taken = self._ring.take(WAKEUP_RING_BYTES)
        found: dict[tuple[Change, int | None], None] = {}
        if taken.records:
            for at, _ in spans(memoryview(taken.data).cast("I"), taken.records):
                kind, tgid = _WAKEUP.unpack_from(taken.data, at)
                found[_CHANGES[kind], tgid] = None
        (lost,) = self._losses.total([0])
        if lost != self._lost:
            self._lost = lost
            found |= {(change, None): None for change in _CHANGES.values()}
        if self._foreign_pids:  # the rest is of no use without knowing whom it concerns
            return {(change, None): None for change, _ in found if change == "listen"}
        return found

    def close(self) -> None:
        """Detach and unmap. May be called twice."""
        self._attachments.require(())
        self._ring.close()

    def detach(self) -> None:
        """Have nothing attached."""
        self._attachments.require(())


class ProcessWatch:
    """Attaches the wake-up programs while somebody watches and the probe runs.

    Args:
        warn: Told once why something will not be told of.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._control = threading.Lock()
        self._callback: ProcessCallback | None = None
        self._tap: WakeUpTap | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._wake = -1

    def watch(self, callback: ProcessCallback | None) -> None:
        """Call this from now on, or from when the programs are ready; None for nobody any more.

        Whoever was called before is called no more when this returns.
        """
        with self._control:
            self._end()
            self._callback = callback
            self._begin()

    def open(self, tap: WakeUpTap) -> None:
        """The programs are ready."""
        with self._control:
            self._tap = tap
            self._begin()

    def close(self) -> None:
        """Detach; the programs are about to go. May be called twice."""
        with self._control:
            self._end()
            self._tap = None

    def _begin(self) -> None:
        if self._callback is None or self._tap is None:
            return
        try:
            missing = self._tap.attach()
            self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError as refused:
            self._tap.detach()
            missing = str(refused)
        else:
            self._stopping.clear()
            self._thread = threading.Thread(
                target=self._run, args=(self._tap, self._callback), name="wake-ups", daemon=True
            )
            self._thread.start()
        if missing:
            self._warn(f"not every change of a process is told at once: {clean(missing)}")

    def _end(self) -> None:
        if self._thread is not None:
            self._stopping.set()
            os.eventfd_write(self._wake, 1)
            self._thread.join()
            self._thread = None
            os.close(self._wake)
        if self._tap is not None:
            self._tap.detach()

    def _run(self, tap: WakeUpTap, callback: ProcessCallback) -> None:
        try:
            with select.epoll() as epoll:
                epoll.register(self._wake, select.EPOLLIN)
                epoll.register(tap.descriptor, select.EPOLLIN)
                while not self._stopping.is_set():
                    epoll.poll()
                    if self._stopping.wait(_SETTLE_S):
                        return
                    for change, tgid in tap.take():
                        callback(change, tgid)
        except OSError as refused:
            self._warn(f"changes of processes are no longer told at once: {clean(str(refused))}")
