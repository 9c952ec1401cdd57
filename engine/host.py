"""Facts of the box and the cost of running on it."""

from __future__ import annotations

import os
import pwd
import resource
from contextlib import suppress

from engine.core.capabilities import PROBE, effective, lacking
from engine.core.clock import Clock
from engine.core.sanitise import clean
from engine.core.snapshot import HostFacts


def host_facts() -> HostFacts:
    """Hostname, kernel and the rights this process has."""
    names = os.uname()
    return HostFacts(clean(names.nodename, 64), clean(names.release, 64), _rights())


def _rights() -> str:
    """The effective user, with what its capabilities take away or add."""
    present = effective()
    if os.geteuid() == 0:
        return "root without capabilities" if lacking(["CAP_SYS_ADMIN"], present) else "root"
    return _user_name() if lacking(PROBE, present) else f"{_user_name()} + BPF"


def _user_name() -> str:
    try:
        return clean(pwd.getpwuid(os.geteuid()).pw_name, 32)
    except KeyError:
        return f"uid {os.geteuid()}"


class OwnCost:
    """CPU and memory of this process, for the honesty line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._page = os.sysconf("SC_PAGESIZE")
        self._last = (clock.monotonic_ns(), self._cpu_s())
        self._share = 0.0
        self._resident = 0

    def read(self) -> tuple[float, int]:
        """Share of one core since about a second ago, and resident bytes."""
        now, used = self._clock.monotonic_ns(), self._cpu_s()
        elapsed = (now - self._last[0]) / 1e9
        if elapsed >= 0.9:
            self._share = (used - self._last[1]) / elapsed
            self._last = (now, used)
        # Without a free descriptor the last reading stays: everything else can still be shown.
        with suppress(OSError):
            self._resident = self._resident_now()
        return self._share, self._resident

    def _cpu_s(self) -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def _resident_now(self) -> int:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * self._page
