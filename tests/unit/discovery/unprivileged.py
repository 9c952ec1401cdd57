"""Run as root: lists what an unprivileged user sees, one JSON line of rows and status."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import sys

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.watcher import PortWatcher

NOBODY = 65534
_PR_SET_DUMPABLE = 4


def main() -> None:
    """Give up root, listen, scan and report."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1)
    clock = SystemClock()
    watcher = PortWatcher(clock, Logbook(clock))
    with socket.create_server(("127.0.0.1", 0)) as own:
        rows = watcher.scan_once()
        port = own.getsockname()[1]
    status = watcher.status()
    report = {
        "port": port,
        "rows": [row.as_json() for row in rows],
        "state": status.state,
        "reason": status.reason,
        "fix": status.fix,
        "dropped": dict(status.counters.dropped),
        "balanced": status.counters.balanced,
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
