"""Facts of the box and the cost of running on it."""

from __future__ import annotations

import os
import pwd
import resource

from engine.core.clock import Clock
from engine.core.sanitise import clean
from engine.core.snapshot import HostFacts

_CAP_SYS_ADMIN, _CAP_PERFMON, _CAP_BPF = 21, 38, 39


def host_facts() -> HostFacts:
    """Hostname, kernel and the rights this process has."""
    names = os.uname()
    return HostFacts(clean(names.nodename, 64), clean(names.release, 64), _rights())


def _rights() -> str:
    """The effective user, with what its capabilities take away or add."""
    capabilities = effective_capabilities()
    if os.geteuid() == 0:
        return "root" if capabilities >> _CAP_SYS_ADMIN & 1 else "root without capabilities"
    bpf = capabilities >> _CAP_BPF & capabilities >> _CAP_PERFMON & 1
    return f"{_user_name()} + BPF" if bpf else _user_name()


def _user_name() -> str:
    try:
        return clean(pwd.getpwuid(os.geteuid()).pw_name, 32)
    except KeyError:
        return f"uid {os.geteuid()}"


def effective_capabilities() -> int:
    """The capability bits of this process (CapEff of /proc/self/status)."""
    with open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"CapEff:"):
                return int(line.split()[1], 16)
    return 0


class OwnCost:
    """CPU and memory of this process, for the honesty line."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._page = os.sysconf("SC_PAGESIZE")
        self._last = (clock.monotonic_ns(), self._cpu_s())
        self._share = 0.0

    def read(self) -> tuple[float, int]:
        """Share of one core since about a second ago, and resident bytes."""
        now, used = self._clock.monotonic_ns(), self._cpu_s()
        elapsed = (now - self._last[0]) / 1e9
        if elapsed >= 0.9:
            self._share = (used - self._last[1]) / elapsed
            self._last = (now, used)
        return self._share, self._resident()

    def _cpu_s(self) -> float:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return usage.ru_utime + usage.ru_stime

    def _resident(self) -> int:
        with open("/proc/self/statm", "rb") as statm:
            return int(statm.read().split()[1]) * self._page
