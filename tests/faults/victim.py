"""The demo, recorded, until it is killed: `python -m tests.faults.victim RECORDING`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from engine.core.settings import Settings
from engine.demo import DemoEngine
from tests.faults.support import DEADLINE_S, plugin_row, state
from tests.waiting import wait_until

if __name__ == "__main__":
    with DemoEngine(Settings()) as engine:
        wait_until(lambda: state(engine, "probe") == "running", 2 * DEADLINE_S)
        wait_until(lambda: "ready" in engine.module_outcomes("doctor"), DEADLINE_S)
        wait_until(lambda: plugin_row(engine, "flood").get("tx_count"), DEADLINE_S)
        engine.subscribe("@network")
        engine.start_recording(Path(sys.argv[1]))
        sys.stdout.write("running\n")
        sys.stdout.flush()
        signal.pause()
