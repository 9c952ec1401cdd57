"""Facts about this box, under the names and in the form of the agent's heartbeat."""

from __future__ import annotations

import os
import platform
import socket
import struct
from contextlib import suppress
from pathlib import Path

import psutil

from engine.agent.metrics import boot_time

_DMI = {
    "host_serial": "product_serial",
    "host_id": "product_uuid",
    "host_model": "product_name",
    "host_vendor": "sys_vendor",
}
_FAMILIES = ("debian", "rhel", "fedora", "suse", "arch", "alpine", "gentoo")
_RTF_UP, _RTF_GATEWAY = 0x1, 0x2


def box_facts() -> dict[str, str]:
    """What does not change while the box is up; what cannot be read is left out."""
    release = _os_release()
    related = (release.get("ID", ""), *release.get("ID_LIKE", "").split())
    family = next((name for name in _FAMILIES if name in related), "")
    facts = {
        "kernel_version": platform.release(),
        "arch": platform.machine(),
        "platform": release.get("ID", ""),
        "platform_family": family,
        "platform_version": release.get("VERSION_ID", ""),
        "nproc": str(os.cpu_count() or 1),
        "cpu_name": _cpu_name(),
        **{field: _read(Path("/sys/class/dmi/id", name)).strip() for field, name in _DMI.items()},
    }
    with suppress(OSError):
        facts["boot_time"] = str(boot_time() or "")
    return {field: value for field, value in facts.items() if value}


def box_state() -> dict[str, str]:
    """What changes: load, memory, name servers, gateway; what cannot be read is left out."""
    state = {"dns": _name_servers(), "gateway": _gateway()}
    load = _read(Path("/proc/loadavg")).split()
    if len(load) > 3:
        state |= dict(zip(("load_1", "load_5", "load_15"), load, strict=False))
        state["running_procs"], _, state["total_procs"] = load[3].partition("/")
    with suppress(OSError):
        memory = psutil.virtual_memory()
        used = memory.total - memory.free - memory.buffers - memory.cached
        state["total_mem"] = str(memory.total)
        state["mem_usage"] = f"{used / memory.total:.8f}"
    return {field: value for field, value in state.items() if value}


class CpuUsage:
    """Share of all cores in use since the previous look."""

    def __init__(self) -> None:
        self._previous = _cpu_seconds()

    def sample(self) -> str:
        """The share from 0 to 1 with eight decimals; empty if no time has passed."""
        busy, total = _cpu_seconds()
        busy_then, total_then = self._previous
        self._previous = busy, total
        if total <= total_then:
            return ""
        return f"{(busy - busy_then) / (total - total_then):.8f}"


def _cpu_seconds() -> tuple[float, float]:
    """Busy and total seconds since the start, of all cores together; zero where nobody tells."""
    try:
        spent = psutil.cpu_times()
    except OSError:
        return 0.0, 0.0
    # The time of guests is in user already.
    busy = spent.user + spent.nice + spent.system + spent.irq + spent.softirq + spent.steal
    return busy, busy + spent.idle + spent.iowait


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _os_release() -> dict[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}


def _cpu_name() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def _name_servers() -> str:
    lines = _read(Path("/etc/resolv.conf")).splitlines()
    found = [line.split()[1:2] for line in lines if line.startswith("nameserver")]
    return ",".join(server for servers in found for server in servers)


def _gateway() -> str:
    """The first IPv4 gateway of the routing table."""
    for line in _read(Path("/proc/net/route")).splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and int(fields[3], 16) & (_RTF_UP | _RTF_GATEWAY) == 3:
            return socket.inet_ntoa(struct.pack("=I", int(fields[2], 16)))
    return ""
