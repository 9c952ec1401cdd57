"""The real ingest thread over pipes whose other ends a test holds, as plugins would."""

from __future__ import annotations

import fcntl
import os
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.agent.host import PluginHost
from engine.agent.ingest import Ingest
from engine.agent.metrics import ProcessMeter
from engine.agent.plugin import Plugin, Run
from engine.agent.process import PluginProcess
from engine.agent.store import Origin
from engine.agent.tasks import TaskQueue
from engine.agent.wire import MAX_FRAME, FrameReader, Slab
from engine.core.clock import Clock, SystemClock
from engine.core.source import Logbook
from tests.unit.agent.support import DEADLINE_S
from tests.waiting import wait_until

_INT = struct.Struct("i")


class SharedProcess(PluginProcess):
    """A process behind several channels."""

    def kill_group(self) -> None:
        """Nothing: a kill meant for one channel is none of the others'."""


class Channel:
    """One plugin as the ingest thread sees it, and the writing end of its record pipe."""

    def __init__(self, name: str, child: int, max_frame: int) -> None:
        reader, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reader, False)
        os.set_blocking(self.writer, False)
        stderr = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        process = SharedProcess(child, os.pidfd_open(child), -1, reader, stderr)
        clock = SystemClock()
        self.run = Run(
            Plugin(name, Path(name), "", True, Path("/nonexistent")),
            process,
            TaskQueue(name, "none-", clock.monotonic_ns),
            Origin(name, child, name),
            ProcessMeter(child),
            started_ns=clock.monotonic_ns(),
            started_s=0,
            reader=FrameReader(max_frame),
        )
        self.run.plugin.run = self.run

    def write(self, piece: bytes) -> None:
        """Write a piece of the stream, if anybody still reads it."""
        left = memoryview(piece)

        def written() -> bool:
            nonlocal left
            try:
                left = left[os.write(self.writer, left) :]
            except BlockingIOError:
                return False
            except BrokenPipeError:
                return True
            return not left

        wait_until(written, DEADLINE_S)

    def capacity(self) -> int:
        """Of the pipe, in bytes."""
        return fcntl.fcntl(self.writer, fcntl.F_GETPIPE_SZ)

    def wait_read(self) -> None:
        """Wait until everything that was written has been read."""
        wait_until(lambda: not self.unread(), DEADLINE_S)

    def unread(self) -> int:
        """Bytes that wait in the pipe; 0 if nobody reads it any more."""
        if self.run.process.record_fd < 0:
            return 0
        (count,) = _INT.unpack(fcntl.ioctl(self.writer, termios.FIONREAD, bytes(_INT.size)))
        return int(count)


class Channels:
    """Channels that all end together, when the one process behind them does."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
        self._open: list[Channel] = []

    def add(self, name: str, max_frame: int = MAX_FRAME, *, adopted: bool = True) -> Channel:
        """A new plugin."""
        channel = Channel(name, self._child.pid, max_frame)
        self._open.append(channel)
        if adopted:
            self.adopt(channel)
        return channel

    def adopt(self, *channels: Channel) -> None:
        """Have the thread look after them, from one turn on."""

        def take() -> None:
            for one in channels:
                self._ingest.adopt(one.run)

        self._ingest.post(take)

    def wait_read(self) -> None:
        """Wait until everything that was written has been read."""
        for channel in self._open:
            channel.wait_read()

    def end(self) -> None:
        """Close the pipes, end the process, and wait until the thread has noticed both."""
        for channel in self._open:
            os.close(channel.writer)
        assert self._child.stdin is not None
        self._child.stdin.close()
        for channel in self._open:
            assert channel.run.gone.wait(DEADLINE_S)
        self._child.wait()


@contextmanager
def ingest_thread(
    slab: Slab | None = None, host_clock: Clock | None = None, **options: Any
) -> Iterator[tuple[PluginHost, Ingest]]:
    """The thread, and the host it tells; the host itself starts nothing."""
    clock = SystemClock()
    host = PluginHost(host_clock or clock, Logbook(clock), **options)
    ingest = Ingest(clock, host, slab)
    ingest.start()
    try:
        yield host, ingest
    finally:
        ingest.stop(0)
    assert host.status().state == "off", host.status().reason
    assert host.counters().balanced
