"""Records a flood on a disk of 1 MiB: `python -m tests.faults.full_disk DIRECTORY`.

To be run in a mount namespace of its own. The first recording gets room in time, the second never
does; what is printed is what was seen and kept of each, and what is in the files.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from engine.core.errors import RecordingError
from engine.core.source import SourceStatus
from engine.live import LiveEngine
from engine.recording.file import RecordingFile
from engine.selection import Selection
from tests.faults.support import DEADLINE_S, FLOOD, running_engine
from tests.waiting import wait_until


def mount(place: Path, options: str) -> None:
    """A disk in memory, or another size for it."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", place], check=True)


def status(engine: LiveEngine) -> SourceStatus:
    """How the recording is."""
    return engine.snapshot().sources["recording"]


def fill(engine: LiveEngine, path: Path) -> str:
    """Record until there is no more room; returns what is said then."""
    engine.start_recording(path)
    wait_until(lambda: status(engine).state == "degraded", DEADLINE_S)
    return status(engine).reason


def outcome(engine: LiveEngine, path: Path, reason: str) -> dict[str, object]:
    """What the counters and the file say of a recording that has ended."""
    counters = status(engine).counters
    file = RecordingFile.open(path)
    try:
        rows = sum(file.counts().values())
    finally:
        file.close()
    return {
        "reason": reason,
        "seen": counters.seen,
        "kept": counters.kept,
        "dropped": dict(counters.dropped),
        "rows": rows,
    }


def main() -> None:
    """Both recordings."""
    place = Path(sys.argv[1])
    told = []
    with running_engine(Selection(agent=True)) as engine:
        engine.load_plugin(FLOOD, detail='{"rate": 5000}')
        mount(place, "size=1m")
        reason = fill(engine, place / "first.db")
        mount(place, "remount,size=64m")
        wait_until(lambda: status(engine).state == "running", DEADLINE_S)
        engine.stop_recording()
        told.append(outcome(engine, place / "first.db", reason))
        mount(place, "size=1m")
        reason = fill(engine, place / "second.db")
        try:
            engine.stop_recording()
        except RecordingError as error:
            reason += f"; {error}"
        told.append(outcome(engine, place / "second.db", reason))
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
