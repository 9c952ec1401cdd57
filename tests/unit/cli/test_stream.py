"""A headless run prints every record once, then counters that add up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import FailedError
from engine.core.kinds import KERNEL_EVENT, LOG, PROBE_STATE
from engine.core.records import Batch, RecordRing, new_record
from engine.core.snapshot import HostFacts, Snapshot
from engine.core.source import Logbook, Source
from engine.engine import Engine
from tui.cli.output import JsonOutput
from tui.cli.stream import StreamOptions, StreamRunner


class BurstSource(Source):
    """Delivers so many kernel events at once."""

    name = "probe"

    def __init__(self, events: int, capacity: int) -> None:
        super().__init__(SystemClock(), Logbook(SystemClock()))
        self._events = events
        self.ring = RecordRing(capacity)
        self.rings["kernel_event"] = self.ring

    def start(self) -> None:
        self.set_status("running")
        self.ring.extend(new_record(KERNEL_EVENT, {}, ts_ns=n) for n in range(self._events))
        self.tally.add(seen=self._events, kept=self._events)

    def stop(self) -> None:
        self.set_status("off")


class BurstEngine(Engine):
    """One source, one stream."""

    def __init__(self, source: BurstSource) -> None:
        self.source = source

    def start(self) -> None:
        self.source.start()

    def stop(self) -> None:
        self.source.stop()

    def snapshot(self) -> Snapshot:
        host = HostFacts("box", "6", "root")
        status = self.source.status()
        state = new_record(PROBE_STATE, {"produced": status.counters.seen}, ts_ns=0)
        return Snapshot(0, 1.0, host, {"probe": status}, {"probe_state": (state,)}, 0.0, 0)

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        return self.source.ring.since(seq, limit)

    def last_seq(self, kind: str) -> int:
        return 0


def run(
    capsys: pytest.CaptureFixture[str], source: BurstSource, options: StreamOptions
) -> list[dict[str, Any]]:
    code = StreamRunner(BurstEngine(source), JsonOutput(), options).run()
    assert code == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_record_is_printed_once_then_the_counters(capsys: pytest.CaptureFixture[str]) -> None:
    *events, stats = run(
        capsys, BurstSource(12_000, 20_000), StreamOptions(("kernel_event",), seconds=0)
    )
    assert [event["seq"] for event in events] == list(range(1, 12_001))
    assert stats["kind"] == "stats"
    assert stats["sources"] == {
        "probe": {"seen": 12_000, "kept": 12_000, "dropped": {}, "lag_ms": 0.0, "state": "running"}
    }


def test_what_this_reader_was_too_late_for_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    *events, stats = run(capsys, BurstSource(100, 30), StreamOptions(("kernel_event",), seconds=0))
    assert len(events) == 30
    probe = stats["sources"]["probe"]
    assert probe["kept"] == 30
    assert probe["dropped"] == {"reader_behind": 70}


def test_count_stops_after_so_many_records(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, BurstSource(100, 200), StreamOptions(("kernel_event",), count=7))
    assert [line["kind"] for line in lines] == ["kernel_event"] * 7 + ["stats"]


def test_tables_asked_for_are_printed_before_the_counters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = run(
        capsys,
        BurstSource(2, 200),
        StreamOptions(("kernel_event",), seconds=0, tables=("probe_state",)),
    )
    assert [line["kind"] for line in lines] == ["kernel_event"] * 2 + ["probe_state", "stats"]
    assert (lines[2]["produced"], lines[2]["seq"]) == (2, 1)


def test_what_is_announced_as_hopeless_ends_the_run_and_stops_the_engine() -> None:
    def announce() -> list[str]:
        raise FailedError("nothing can be delivered")

    source = BurstSource(3, 10)
    options = StreamOptions(("kernel_event",), announce=announce)
    with pytest.raises(FailedError):
        StreamRunner(BurstEngine(source), JsonOutput(), options).run_or_fail("probe")
    assert source.status().state == "off"


PROGRAM = """
import sys
from tests.unit.cli.test_stream import BurstEngine, BurstSource
from tui.cli.output import JsonOutput
from tui.cli.stream import StreamOptions, StreamRunner
options = StreamOptions(("kernel_event",), announce=lambda: ["running"])
sys.exit(StreamRunner(BurstEngine(BurstSource(3, 10)), JsonOutput(), options).run())
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_130_and_the_counters_still_printed(number: signal.Signals) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        assert child.stderr is not None
        assert child.stderr.readline() == "boxscope: running\n"
        child.send_signal(number)
        assert child.stdout is not None
        lines = [json.loads(line) for line in child.stdout]
    assert child.returncode == 130
    assert [line["kind"] for line in lines] == ["kernel_event"] * 3 + ["stats"]


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    program = PROGRAM.replace("BurstSource(3, 10)", "BurstSource(9000, 9000)")
    child = subprocess.run(
        [sys.executable, "-c", program],
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    os.close(writing)
    assert child.returncode == 0
    assert child.stderr == "boxscope: running\n"


def test_a_full_disk_is_said_in_one_line() -> None:
    program = PROGRAM.replace("BurstSource(3, 10)", "BurstSource(9000, 9000)")
    with open("/dev/full", "w") as full:
        child = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
        )
    assert child.returncode == 1
    assert child.stderr.splitlines() == [
        "boxscope: running",
        "boxscope: cannot write the output: No space left on device",
    ]


def test_what_a_source_says_meanwhile_is_said_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    class Talkative(BurstEngine):
        logbook = Logbook(SystemClock())

        def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
            if kind == "log":
                return self.logbook.ring.since(seq, limit)
            self.logbook.write("discovery", "info", "listening to 7")
            self.logbook.write("wasm", "info", "loaded")
            return super().since(kind, seq, limit)

    engine = Talkative(BurstSource(3, 10))
    engine.logbook.write("discovery", "info", "said before the announcement")
    engine.last_seq = lambda kind: engine.logbook.ring.last_seq  # type: ignore[method-assign]
    options = StreamOptions(("kernel_event",), count=3, log_of="discovery")
    StreamRunner(engine, JsonOutput(), options).run()
    assert capsys.readouterr().err == "boxscope: listening to 7\n"


def test_log_lines_carry_their_source() -> None:
    logbook = Logbook(SystemClock())
    logbook.write("probe", "error", "no BCC")
    (line,) = logbook.ring.since(0).records
    assert (line.kind, line.get("source"), line.get("text")) == (LOG.name, "probe", "no BCC")
