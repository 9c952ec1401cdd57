"""A process with a running probe, for tests of what happens to it from outside.

    python probe_process.py EVENT PATH [UID]

Becomes UID if one is given, starts a probe with EVENT subscribed, opens PATH itself, has cat
open PATH.cat, and prints one JSON object a line: its status, then the paths it was told of.
Then it waits to be killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.probe.probe import KernelProbe
from tests.values import json_of


def main() -> None:
    """Run as described above."""
    event, path, *uid = sys.argv[1:]
    clock = SystemClock()
    logbook = Logbook(clock)
    for number in map(int, uid):
        os.setgroups([])
        os.setgid(number)
        os.setuid(number)
    probe = KernelProbe(clock, logbook)
    probe.subscribe(event)
    probe.start()
    probe.wait_ready(60.0)
    status = probe.status()
    _say({"state": status.state, "reason": status.reason, "fix": status.fix})
    if status.state == "failed":
        rows = probe.tables()["subscription"]
        _say({"unavailable": sorted({str(row.get("unavailable")) for row in rows})})
        probe.stop()
        return
    os.close(os.open(path, os.O_RDONLY))
    subprocess.run(["/bin/cat", f"{path}.cat"], check=True)
    probe.drain()
    opened = [
        str(json_of(record)["attributes"]["name"])
        for record in probe.rings["kernel_event"].since(0, 1_000_000).records
    ]
    _say({"opened": [name for name in opened if name.startswith(path)]})
    signal.pause()


def _say(message: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
