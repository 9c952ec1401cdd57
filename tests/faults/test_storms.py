"""More than enough of something at once: plugins that die, processes, signals that stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from engine.core.records import Record
from engine.live import LiveEngine
from engine.selection import Selection
from tests.faults.support import (
    CHANCE,
    DEADLINE_S,
    FLOOD,
    number,
    plugin_row,
    program,
    running_engine,
    wait_sent,
)
from tests.ledgers import Ledger
from tests.unit.agent.support import raw_plugin, record_frame
from tests.waiting import wait_until

PLUGINS = 200
ROUNDS = 2
PROCESSES = 1_000
STOPS = 5


@pytest.mark.fault("plugin crash storm")
def test_plugins_that_die_at_once_over_and_over_lose_no_record(
    ledger: Ledger, tmp_path: Path
) -> None:
    crashing = raw_plugin(tmp_path, "crashing", record_frame({"last": "words"}), "kill -SEGV $$")
    names = [f"crashing-{number}" for number in range(PLUGINS)]
    with running_engine(Selection(agent=True)) as engine:
        engine.load_plugin(FLOOD, detail='{"rate": 1000}')
        for turn in range(ROUNDS * ledger.budget):
            ledger.inject(PLUGINS)
            for name in names:
                if turn:
                    engine.restart_plugin(name)
                else:
                    engine.load_plugin(crashing, name=name)
            wait_until(lambda: all_ended(engine), DEADLINE_S)
            rows = {name: plugin_states(engine)[name] for name in names}
            assert {number(row, "tx_count") for row in rows.values()} == {1}
            ledger.survive(engine.snapshot(), number=PLUGINS)
        before = number(plugin_row(engine, "flood"), "tx_count")
        wait_sent(engine, "flood", before)


def plugin_states(engine: LiveEngine) -> dict[object, dict[str, object]]:
    """The rows of all plugins."""
    rows: list[dict[str, object]] = [
        dict(row.as_json()) for row in engine.snapshot().tables["plugin_state"]
    ]
    return {row["plugin"]: row for row in rows}


def all_ended(engine: LiveEngine) -> bool:
    """Whether no plugin runs but the flood, and each has told how it ended."""
    rows = plugin_states(engine)
    return all(
        row["state"] == "exited" and row["exit_code"] is not None
        for name, row in rows.items()
        if name != "flood"
    )


BOMB = "i=0; while [ $i -lt $1 ]; do /bin/true; i=$((i+1)); done"


@pytest.mark.kernel
@pytest.mark.fault("fork bomb of short processes")
def test_every_short_process_is_seen_or_counted_as_lost(ledger: Ledger) -> None:
    many = PROCESSES * ledger.budget
    selection = Selection(
        discovery=True, show_all=True, probe=True, subscriptions=(("@processes", ""),)
    )
    with running_engine(selection, history=1_000_000) as engine:
        scans = engine.snapshot().sources["discovery"].counters.seen
        ledger.inject(many)
        with subprocess.Popen(["/bin/sh", "-c", BOMB, "sh", str(many)]) as bomb:
            bomb.wait()
        wait_until(lambda: engine.snapshot().sources["discovery"].counters.seen > scans, DEADLINE_S)
    snapshot = engine.snapshot()
    started = {
        record.pid
        for record in every(engine, "kernel_event")
        if record.get("name") == "execve"
        and record.get("direction") == "exit"
        and record.comm == "true"
    }
    dropped = snapshot.sources["probe"].counters.dropped_total
    (told,) = snapshot.tables["probe_state"]
    assert told.get("produced") == told.get("read")
    ledger.lose(max(0, many - len(started) - dropped))
    ledger.survive(snapshot, number=many)


def every(engine: LiveEngine, kind: str) -> list[Record]:
    """All records of a kind."""
    batch = engine.since(kind, 0, 1_000_000)
    assert batch.missed == 0
    return list(batch.records)


@pytest.mark.fault("engine stopped and continued under load")
def test_an_engine_that_is_stopped_goes_on_where_it_was(ledger: Ledger) -> None:
    command = ["-m", "tui.cli", "plugins", "run", str(FLOOD), "--json", "--for", "600"]
    with program(*command, "--detail", '{"rate": 20000}') as engine:
        assert engine.stdout is not None
        stops = STOPS * ledger.budget
        for _ in range(stops):
            for _line in range(CHANCE.randint(1, 2)):
                assert engine.stdout.readline()
            ledger.inject()
            engine.send_signal(signal.SIGSTOP)
            stopped = os.waitid(os.P_PID, engine.pid, os.WSTOPPED | os.WNOWAIT)
            assert stopped is not None
            engine.send_signal(signal.SIGCONT)
        engine.send_signal(signal.SIGINT)
        *_, last = engine.communicate(timeout=DEADLINE_S)[0].splitlines()
    assert engine.returncode == 130
    source = json.loads(last)["sources"]["agent"]
    ledger.lose(abs(source["seen"] - source["kept"] - sum(source["dropped"].values())))
    ledger.survive(number=stops)
