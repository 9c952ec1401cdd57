"""The part of WASI that is ours and not Wasmtime's.

fd_write captures what an agent throws away. The others are stubs for lenient hosts, which make a
message give the same result in every run: random numbers are always the same, the time is that of
the message, and a sleep is over at once but moves the time on. Wasmtime's own poll_oneoff would
sleep in the host, where no deadline reaches it.
"""

from __future__ import annotations

import random
import struct

from engine.wasm.hostcalls import GuestMemory, HostFunctions

ERRNO_SUCCESS, ERRNO_BADF, ERRNO_FAULT, ERRNO_INVAL = 0, 8, 21, 28
"""WASI errno values."""

MAX_STDOUT = 16_384
"""Bytes of stdout and stderr that are kept of one call."""

_MAX_IOVECS = 1_024
_MAX_RANDOM = 1 << 16
_MAX_CLOCK = 3
_MAX_SUBSCRIPTIONS = 64
_SUBSCRIPTION = struct.Struct("<QB7xI4xQ8xH6x")
"""Userdata and kind; of a clock also its number, timeout in nanoseconds, and flags."""
_CLOCK, _REALTIME, _ABSOLUTE = 0, 0, 1
_EVENT = struct.Struct("<QHB5xQH6x")


class WasiFunctions:
    """WASI functions of one plugin instance; what happens is noted in its journal.

    Every method takes unsigned 32-bit numbers and returns a WASI errno.
    """

    def __init__(self, functions: HostFunctions) -> None:
        self._functions = functions
        self._random = random.Random(0)
        self._asked = 0
        self._slept_ns = 0
        self._latest_ns = 0

    def fd_write(
        self, memory: GuestMemory, descriptor: int, vectors: int, count: int, written_at: int
    ) -> int:
        """Capture stdout and stderr; any other descriptor is closed."""
        if descriptor not in (1, 2):
            return ERRNO_BADF
        if count > _MAX_IOVECS:
            return ERRNO_INVAL
        if not (memory.contains(vectors, count * 8) and memory.contains(written_at, 4)):
            return ERRNO_FAULT
        stdout = self._functions.journal.stdout
        total = 0
        for pointer, length in struct.iter_unpack("<II", memory.read(vectors, count * 8)):
            if not memory.contains(pointer, length):
                return ERRNO_FAULT
            stdout += memory.read(pointer, min(length, MAX_STDOUT - len(stdout)))
            total += length
        memory.write(written_at, (total & 0xFFFF_FFFF).to_bytes(4, "little"))
        return ERRNO_SUCCESS

    def random_get(self, memory: GuestMemory, pointer: int, length: int) -> int:
        """Fill a buffer with numbers that are the same for every instance."""
        if length > _MAX_RANDOM:
            return ERRNO_INVAL
        if not memory.contains(pointer, length):
            return ERRNO_FAULT
        memory.write(pointer, self._random.randbytes(length))
        return ERRNO_SUCCESS

    def clock_time_get(self, memory: GuestMemory, clock: int, _precision: int, at: int) -> int:
        """Write the time of the message; each question moves it on by a microsecond.

        Only the clock of the day goes back with an older message.
        """
        if clock > _MAX_CLOCK:
            return ERRNO_INVAL
        if not memory.contains(at, 8):
            return ERRNO_FAULT
        self._asked += 1
        now_ns = self._now_ns(clock)
        memory.write(at, (now_ns & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little"))
        return ERRNO_SUCCESS

    def poll_oneoff(
        self, memory: GuestMemory, subscriptions: int, events: int, count: int, stored_at: int
    ) -> int:
        """Report every subscription as fired, at once, and let the time pass it waits for."""
        if not 0 < count <= _MAX_SUBSCRIPTIONS:
            return ERRNO_INVAL
        if not (
            memory.contains(subscriptions, count * _SUBSCRIPTION.size)
            and memory.contains(events, count * _EVENT.size)
            and memory.contains(stored_at, 4)
        ):
            return ERRNO_FAULT
        self._functions.journal.note("poll_oneoff: nothing sleeps here; it returned at once")
        asked = memory.read(subscriptions, count * _SUBSCRIPTION.size)
        fired = []
        for userdata, kind, clock, timeout, flags in _SUBSCRIPTION.iter_unpack(asked):
            if kind == _CLOCK:
                self._sleep(clock, timeout, absolute=bool(flags & _ABSOLUTE))
            fired.append(_EVENT.pack(userdata, ERRNO_SUCCESS, kind, 0, 0))
        memory.write(events, b"".join(fired))
        memory.write(stored_at, count.to_bytes(4, "little"))
        return ERRNO_SUCCESS

    def _now_ns(self, clock: int) -> int:
        context = self._functions.context
        time_us = self._asked + (context.base.time_us if context is not None else 0)
        now_ns = time_us * 1_000 + self._slept_ns
        if clock == _REALTIME:
            return now_ns
        self._latest_ns = max(self._latest_ns, now_ns)
        return self._latest_ns

    def _sleep(self, clock: int, timeout_ns: int, *, absolute: bool) -> None:
        """A scheduler that looks at the clock after a sleep must find that it is over."""
        now_ns = self._now_ns(clock)
        until_ns = timeout_ns if absolute else now_ns + timeout_ns
        self._slept_ns += max(0, until_ns - now_ns)
