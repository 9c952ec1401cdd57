"""Recording, replaying and asking from the command line."""

from __future__ import annotations

import csv
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import fixtures
from tests.unit.cli.test_verbs import CAPTURE, DEMO_WASM, boxscope, objects, source

FIRST_LIGHT = str(Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl")


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of the traffic of a capture, as a Wasm plugin reads it."""
    path = tmp_path_factory.mktemp("record") / "capture.db"
    done = boxscope("record", str(path), "--pcap", CAPTURE, "--wasm", DEMO_WASM, "--json")
    (stats,) = objects(done)
    counted = source(stats, "recording")
    with sqlite3.connect(path) as database:
        for kind, counters in counted["stages"].items():
            ((rows,),) = database.execute(f"SELECT count(*) FROM {kind}")
            assert rows == counters["kept"], kind
    assert counted["dropped"] == {}
    assert "boxscope replay" in done.stderr
    return path


def test_a_replay_prints_the_records_that_the_live_command_printed(capture: Path) -> None:
    live = objects(boxscope("traffic", "--pcap", CAPTURE, "--wasm", DEMO_WASM, "--json"))
    replayed = objects(boxscope("replay", str(capture), "--headless", "--json"))
    for kind, least in (("l7_message", 18), ("wasm_result", 18)):
        printed = [line for line in replayed if line["kind"] == kind]
        expected = [line for line in live if line["kind"] == kind]
        assert len(printed) >= least
        assert without_times(printed) == without_times(expected)
    assert source(replayed[-1], "traffic")["kept"] == source(live[-1], "traffic")["kept"]


def without_times(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    """Lines without what differs from run to run.

    That is the time of a call, how long it took, and the messages it is for: these are known once
    they are complete, so it depends on when a reader comes.
    """
    changing = {"wasm_result": {"ts", "elapsed_us", "messages"}}
    return [
        {name: value for name, value in line.items() if name not in changing.get(str(kind), ())}
        for line in lines
        for kind in (line["kind"],)
    ]


def test_a_replay_is_in_the_order_of_time_and_ends_with_the_counters() -> None:
    lines = objects(boxscope("replay", FIRST_LIGHT, "--headless", "--json"))
    times = [str(line["ts"]) for line in lines if line["kind"] == "kernel_event"]
    assert len(times) == 509
    assert lines[-1]["kind"] == "stats"
    assert {"agent", "probe"} <= lines[-1]["sources"].keys()
    kinds = [line["kind"] for line in lines]
    assert kinds.index("l7_message") < kinds.index("stats") < len(kinds) - 1


def test_a_stream_that_is_replayed_is_the_same_stream(tmp_path: Path) -> None:
    first = boxscope("replay", FIRST_LIGHT, "--headless", "--json")
    path = tmp_path / "again.jsonl"
    path.write_text(first.stdout)
    again = boxscope("replay", str(path), "--headless", "--json")
    assert again.stdout.splitlines() == first.stdout.splitlines()


def test_a_replay_can_be_narrowed(capture: Path) -> None:
    arguments = ("replay", FIRST_LIGHT, "--headless", "--json", "--kind", "kernel_event")
    some = objects(boxscope(*arguments, "--filter", "errno", "--count", "3"))
    assert [line["kind"] for line in some] == ["kernel_event"] * 3 + ["stats"]
    late = objects(boxscope(*arguments, "--from", "-1s"))
    every = objects(boxscope(*arguments))
    assert 0 < len(late) < len(every) == 510
    assert late[:-1] == every[-len(late) : -1]


def test_a_replay_takes_its_time_if_a_speed_is_given() -> None:
    arguments = ("replay", FIRST_LIGHT, "--headless", "--json", "--speed", "1000")
    assert len(objects(boxscope(*arguments))) == len(objects(boxscope(*arguments[:-2])))


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["record", "{new}", "--keep", "soon"], 2, "'soon' is no time"),
        (["record", "{new}", "--max-size", "5"], 2, "1MB at least"),
        (["record", "{new}", "--redact", "secrets"], 2, "--redact"),
        (["record", "{new}", "--filter", "no == 1"], 2, "no field no"),
        (["record", "{new}", "--wasm", DEMO_WASM], 2, "--attach, --pid or --pcap"),
        (["record", "{new}", "--pcap", "/no/such.pcap"], 1, "/no/such.pcap"),
        (["record", "{new}", "--plugin", "/no/such/plugin"], 1, "cannot start /no/such/plugin"),
        (["record", "{new}", "-e", "opnat"], 2, "opnat"),
        (["record", "/no/such/place/r.db"], 1, "No such file or directory"),
        (["record", FIRST_LIGHT], 1, "there is a file"),
        (["replay", FIRST_LIGHT, "--json"], 2, "--headless"),
        (["replay", FIRST_LIGHT, "--headless", "--speed", "0"], 2, "0 times as fast"),
        (["replay", FIRST_LIGHT, "--headless", "--from", "noon"], 2, "'noon' is no moment"),
        (["replay", CAPTURE, "--headless"], 1, "holds no record"),
        (["query", "/no/such.db", "SELECT 1"], 1, "No such file"),
        (["query", FIRST_LIGHT, "SELEC 1"], 2, "syntax error"),
        (["query", FIRST_LIGHT, "SELECT 1", "--json", "--csv"], 2, "exclude each other"),
        (["query", FIRST_LIGHT, "DROP TABLE log"], 2, "only read"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_bad_input_is_a_clear_error(
    tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    done = boxscope(*(each.format(new=tmp_path / "new.db") for each in arguments))
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert not (tmp_path / "new.db").exists()


def test_an_answer_as_a_table_as_objects_and_as_csv(capture: Path) -> None:
    sql = "SELECT protocol, count(*) AS messages, NULL AS absent FROM requests GROUP BY protocol"
    table = boxscope("query", str(capture), sql).stdout.splitlines()
    assert table[0].split() == ["protocol", "messages", "absent"]
    rows = objects(boxscope("query", str(capture), sql, "--json"))
    assert {row["kind"] for row in rows} == {"row"}
    counts = Counter({str(row["protocol"]): int(str(row["messages"])) for row in rows})
    assert counts["HTTP"] > 0
    values = list(csv.DictReader(boxscope("query", str(capture), sql, "--csv").stdout.splitlines()))
    assert {row["protocol"]: int(row["messages"]) for row in values} == counts
    assert {row["absent"] for row in values} == {""}


@pytest.mark.parametrize("form", [(), ("--csv",), ("--json",)])
def test_an_answer_holds_nothing_a_terminal_obeys(capture: Path, form: tuple[str, ...]) -> None:
    sql = "SELECT char(27) || '[2J' || char(8238) || char(155) AS evil"
    shown = boxscope("query", str(capture), sql, *form).stdout
    assert not {"\x1b", "\u202e", "\x9b"} & set(shown)
    assert "[2J" in shown


def test_an_answer_is_cut_and_that_is_said(capture: Path) -> None:
    done = boxscope("query", str(capture), "SELECT seq FROM requests", "--limit", "2", "--json")
    assert len(done.stdout.splitlines()) == 2
    assert "only the first 2 rows" in done.stderr
    whole = boxscope("query", str(capture), "SELECT seq FROM requests", "--limit", "0")
    assert "only the first" not in whole.stderr


def test_without_a_question_tables_and_views_are_listed(capture: Path) -> None:
    rows = {row["name"]: row for row in objects(boxscope("query", str(capture), "--json"))}
    assert rows["requests"]["type"] == "view"
    assert rows["l7_message"]["rows"] == rows["requests"]["rows"]


def test_an_interrupted_recording_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    command = [sys.executable, "-m", "tui.cli", "record", str(path), "--open-port", "1", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    ) as child:
        assert child.stderr is not None
        said = next((line for line in child.stderr if "recording to" in line), "")
        child.send_signal(signal.SIGINT)
        out, _ = child.communicate()
    assert said
    assert child.returncode == 130
    stats = json.loads(out.splitlines()[-1])
    assert source(stats, "recording")["seen"] == source(stats, "recording")["kept"]
    assert not Path(f"{path}-wal").exists()
    assert objects(boxscope("replay", str(path), "--headless", "--json"))
