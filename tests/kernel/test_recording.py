"""Real events of some seconds: all in the file, in the counters, and in the replay as in life."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from engine.core.kinds import KINDS
from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.probe.filters import Filters
from engine.selection import Selection
from tests.kernel.test_commands import BOXSCOPE, WITHOUT_CAPABILITIES, parsed, reconciles
from tui.cli.output import JsonOutput
from tui.cli.stream import StreamOptions, StreamRunner

pytestmark = pytest.mark.kernel

PRINTED = ("kernel_event", "process", "log")
TOUCHES = 2_000


def digest(lines: Iterable[Mapping[str, object]], kind: str) -> tuple[int, str]:
    """How many records of a kind there are, and a hash of them all."""
    told = [json.dumps(line, sort_keys=True) for line in lines if line["kind"] == kind]
    return len(told), hashlib.sha256("\n".join(told).encode()).hexdigest()


TOUCHER = "boxscope-touch"
"""Name of the thread whose events are recorded: what others on the box do is not foreseeable, and
more than this reader is in time for would be counted as missed instead of printed."""

TOUCH = f"""
import pathlib, sys
pathlib.Path("/proc/self/comm").write_text("{TOUCHER}")
for number in range(int(sys.argv[2])):
    pathlib.Path(sys.argv[1], str(number % 10)).write_text("x")
"""


def touch_files(place: Path) -> None:
    """Some thousand system calls of another process: those of its own a probe leaves out."""
    subprocess.run([sys.executable, "-c", TOUCH, str(place), str(TOUCHES)], check=True)


def test_a_recording_holds_and_replays_what_the_live_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = tmp_path / "r.db"
    selection = Selection(
        discovery=True,
        probe=True,
        subscriptions=(("syscall_exit-openat", ""), ("syscall_exit-write", ""), ("@processes", "")),
        filters=Filters(comms=frozenset({TOUCHER})),
    )
    engine = LiveEngine(selection, Settings())
    engine.start_recording(recording)
    begun: list[bool] = []

    def announce() -> Iterable[str]:
        touch_files(tmp_path)
        begun.append(True)
        return ()

    options = StreamOptions(
        PRINTED,
        seconds=1,
        ready=lambda: engine.snapshot().sources["probe"].state != "starting",
        announce=announce,
    )
    assert StreamRunner(engine, JsonOutput(), options).run_or_fail("probe", "recording") == 0
    assert begun
    live = parsed(capsys.readouterr().out)
    done = subprocess.run(
        [*BOXSCOPE, "replay", str(recording), "--headless", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    replayed = parsed(done.stdout)
    for kind in PRINTED:
        assert digest(replayed, kind) == digest(live, kind), kind
    assert digest(live, "kernel_event")[0] >= 2 * TOUCHES
    sources = live[-1]["sources"]
    assert isinstance(sources, dict)
    assert sources["probe"]["dropped"] == sources["recording"]["dropped"] == {}
    assert counted(recording) == {
        kind: counters["kept"] for kind, counters in sources["recording"]["stages"].items()
    }


def counted(recording: Path) -> dict[str, int]:
    """Records of each kind in the file, of which there are any."""
    with sqlite3.connect(recording) as database:
        counts = {
            kind: database.execute(f"SELECT count(*) FROM {kind}").fetchone()[0] for kind in KINDS
        }
    return {kind: number for kind, number in counts.items() if number}


def test_the_command_records_what_it_is_told_and_a_replay_needs_no_rights(tmp_path: Path) -> None:
    recording = tmp_path / "r.db"
    command = [*BOXSCOPE, "record", str(recording), "-e", "syscall_exit-openat", "--json"]
    flags = ["--pid", str(os.getpid()), "--count", "100", "--filter", 'name == "openat"']
    with subprocess.Popen(
        [*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        said = next((line for line in child.stderr if "recording to" in line), "")
        while said and child.poll() is None:
            (tmp_path / "mine").write_text("x")
        out, err = child.communicate()
    assert child.returncode == 0, err
    (stats,) = parsed(out)
    sources = stats["sources"]
    assert isinstance(sources, dict)
    assert all(map(reconciles, sources.values()))
    assert sources["recording"]["kept"] >= 100
    sql = "SELECT DISTINCT pid, name FROM events"
    done = subprocess.run(
        [*WITHOUT_CAPABILITIES, *BOXSCOPE, "query", str(recording), sql, "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert parsed(done.stdout) == [{"kind": "row", "pid": os.getpid(), "name": "openat"}]


def test_without_the_right_that_is_said_and_no_file_stays(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    recording = tmp_path / "r.db"
    done = subprocess.run(
        [*WITHOUT_CAPABILITIES, *BOXSCOPE, "record", str(recording), "-e", "syscall_exit-openat"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3, done.stderr
    assert "CAP_BPF" in done.stderr
    assert not recording.exists()
