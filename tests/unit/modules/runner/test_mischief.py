"""The worst that a module does is told in its row, ends with it, and harms nothing else."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.agent import sdk
from engine.core.identity import read_stat
from engine.modules.runner.protocol import EVENT_TYPE, EVENTS_FD, Limits
from tests.leftovers import own_temporary_files
from tests.unit.agent.support import DEMO_PLUGINS, process_exists
from tests.unit.modules.runner.support import (
    DEADLINE_S,
    SOON,
    Modules,
    python_module,
    running_modules,
)
from tests.waiting import wait_until


@pytest.fixture
def modules() -> Iterator[Modules]:
    """An engine beside whose modules another plugin goes on all the time."""
    with running_modules() as running:
        running.engine.load_plugin(DEMO_PLUGINS / "boxload")
        yield running
        sent = running.row("boxload")["tx_count"]
        running.engine.send_task("boxload", 7010, "")
        wait_until(lambda: running.row("boxload")["tx_count"] > sent, DEADLINE_S)
        assert running.row("boxload")["state"] == "running"


def pid_in(file: Path) -> int:
    """The pid a module has written down."""
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"), DEADLINE_S)
    return int(file.read_text())


def test_one_that_panics_in_init_is_told_with_the_place(modules: Modules, tmp_path: Path) -> None:
    file = python_module(tmp_path, "ill", "def go():\n    raise ValueError('no license')\ngo()\n")
    modules.load(file)
    row = modules.gone("ill")
    assert row["error"] == (
        "module ill: panicked: in init: ValueError: no license, in go at ill.py:2"
    )
    assert row["exit_code"] == 1
    assert modules.told("ill")[-1] == "ended"


def test_one_that_never_returns_from_init_is_killed_at_the_deadline(
    modules: Modules, tmp_path: Path
) -> None:
    file = python_module(tmp_path, "slow", "import threading\nthreading.Event().wait()\n")
    modules.load(file, limits=SOON)
    row = modules.gone("slow")
    assert row["error"] == "module slow: killed: opening it had not returned after 1 s"
    assert row["exit_code"] == 2
    assert modules.event("slow", "killed")["details"]["operation"] == "open"


def test_a_call_that_never_returns_is_killed_and_its_caller_told(
    modules: Modules, tmp_path: Path
) -> None:
    file = python_module(tmp_path, "busy", "def spin():\n    while True: pass\n")
    modules.load(file, symbol="spin", limits=SOON)
    modules.event("busy", "ready")
    modules.engine.call_module("busy", "spin")
    row = modules.gone("busy")
    assert row["error"] == "module busy: killed: the call of spin had not returned after 1 s"
    assert 'failed: "killed after 1 s"' in row["last_task"]


@pytest.mark.parametrize("session", ["False", "True"], ids=["same session", "setsid"])
def test_one_that_forks_leaves_nothing_behind(
    modules: Modules, tmp_path: Path, session: str
) -> None:
    child = tmp_path / "child"
    file = python_module(
        tmp_path,
        "forks",
        f"""
        import subprocess
        command = ["sh", "-c", "(setsid sleep 1000 & echo $! > {child})"]
        subprocess.run(command, start_new_session={session})
        """,
    )
    modules.load(file)
    modules.event("forks", "ready")
    pid = pid_in(child)
    assert process_exists(pid)
    modules.engine.unload_plugin("forks")
    assert modules.event("forks", "ended")["details"]["left_behind"] == "1"
    assert not process_exists(pid)


@pytest.mark.fault("module that forks or allocates without end")
def test_one_that_forks_without_end_is_ended_for_it(modules: Modules, tmp_path: Path) -> None:
    file = python_module(
        tmp_path,
        "many",
        """
        import subprocess, threading
        children = [subprocess.Popen(["sleep", "1000"]) for _ in range(40)]
        threading.Event().wait()
        """,
    )
    modules.load(file, limits=Limits(open_s=DEADLINE_S, processes=20))
    row = modules.gone("many")
    assert "killed: ran " in row["error"]
    assert "processes, more than the 20 it may have" in row["error"]
    assert int(modules.event("many", "ended")["details"]["left_behind"]) > 0


@pytest.mark.fault("module that forks or allocates without end")
def test_one_that_allocates_without_end_is_ended_for_it(modules: Modules, tmp_path: Path) -> None:
    file = python_module(
        tmp_path,
        "greedy",
        """
        import threading
        held = []
        while sum(map(len, held)) < 300 << 20:
            held.append(b"x" * (1 << 20))
        threading.Event().wait()
        """,
    )
    modules.load(file, limits=Limits(open_s=DEADLINE_S, memory=100 << 20))
    row = modules.gone("greedy")
    assert "killed: held " in row["error"]
    assert "MiB, more than the 100 it may have" in row["error"]


def test_garbage_in_its_pipe_ends_it_and_is_counted_as_lost(
    modules: Modules, tmp_path: Path
) -> None:
    file = python_module(
        tmp_path,
        "noisy",
        """
        import os, threading
        os.write(4, b"this is no record at all")
        threading.Event().wait()
        """,
    )
    modules.load(file, limits=Limits(open_s=DEADLINE_S))
    row = modules.gone("noisy")
    assert "garbage: announced a record of 1936287860 bytes" in row["error"]
    assert row["dropped"] == 1
    assert modules.told("noisy")[-2:] == ["garbage", "ended"]
    (fault,) = modules.engine.since("plugin_fault", 0).records
    assert (fault.get("plugin"), fault.get("reason")) == ("noisy", "lost_sync")
    for name in ("agent", "modules"):
        assert modules.engine.snapshot().sources[name].counters.dropped == {"lost_sync": 1}


def test_half_a_record_does_not_swallow_how_it_ended(modules: Modules, tmp_path: Path) -> None:
    file = python_module(
        tmp_path, "cut", "import os\nos.write(4, b'\\x40\\0\\0\\0half')\nos._exit(7)"
    )
    modules.load(file)
    row = modules.gone("cut")
    assert row["error"] == "module cut: exited: exit code 7, during opening it"
    assert row["dropped"] == 1
    assert modules.engine.snapshot().sources["modules"].counters.dropped == {"truncated": 1}


def test_records_of_a_module_are_records_like_any_plugins(modules: Modules, tmp_path: Path) -> None:
    file = python_module(
        tmp_path,
        "sends",
        f"""
        import importlib.util, sys
        spec = importlib.util.spec_from_file_location("sdk", {sdk.__file__!r})
        sdk = sys.modules["sdk"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sdk)
        def send():
            with sdk.Client() as client:
                for number in range(1000):
                    client.send_record(7000, {{"number": str(number)}})
        """,
    )
    modules.load(file, symbol="send", call="()")
    modules.event("sends", "ready")

    def sent() -> list[object]:
        found = modules.engine.since("plugin_record", 0, 10_000).records
        mine = [one for one in found if one.get("plugin") == "sends"]
        return [one.get("fields") for one in mine if one.get("data_type") == 7000]

    wait_until(lambda: len(sent()) == 1000, DEADLINE_S)
    assert sent() == [{"number": str(number)} for number in range(1000)]
    assert modules.row("sends")["plugin_kind"] == "module"


def test_what_it_prints_is_its_stderr(modules: Modules, tmp_path: Path) -> None:
    modules.load(python_module(tmp_path, "prints", "print('\\x1b[2Jhello', flush=True)"))
    modules.event("prints", "ready")
    wait_until(lambda: modules.row("prints")["last_stderr"], DEADLINE_S)
    assert modules.row("prints")["last_stderr"] == "␛[2Jhello"


@pytest.mark.fault("kill -9 of a module's runner or keeper")
def test_a_keeper_that_is_killed_takes_its_module_along(modules: Modules, tmp_path: Path) -> None:
    child = tmp_path / "child"
    body = f"""
    import os, subprocess
    subprocess.run(["sh", "-c", "setsid sleep 1000 & echo $! > {child}"])
    def murder():
        os.kill(os.getppid(), 9)
    """
    modules.load(python_module(tmp_path, "killer", body), symbol="murder", call="()")
    row = modules.gone("killer")
    assert row["error"] == "module killer: its keeper was ended from outside"
    wait_until(lambda: not process_exists(row["pid"]), DEADLINE_S)
    if modules.event("killer", "contained")["text"].count("no control group") == 0:
        pid = pid_in(child)
        wait_until(lambda: not process_exists(pid), DEADLINE_S)
    else:
        subprocess.run(["kill", "-9", str(pid_in(child))], check=False)


def framed(fields: dict[str, str]) -> bytes:
    """An event as a keeper sends it."""
    body = sdk.encode_record(EVENT_TYPE, 1, fields)
    return len(body).to_bytes(4, "little") + body


def test_an_event_of_its_own_making_is_shown_made_safe(modules: Modules, tmp_path: Path) -> None:
    sent = framed({"event": "returned", "text": "\x1b[31m", "pid": "x"})
    modules.load(python_module(tmp_path, "forger", f"import os\nos.write(4, {sent!r})\n"))
    assert modules.event("forger", "returned")["text"] == "␛[31m"


def test_numbers_of_its_own_making_that_are_none_harm_nobody(
    modules: Modules, tmp_path: Path
) -> None:
    odd = ("²", "9" * 20, "9" * 5_000, "nan", "-1")
    sent = b"".join(
        framed({"event": "returned", "pid": text, "at_ns": text, "elapsed_us": text})
        for text in odd
    )
    modules.load(python_module(tmp_path, "forger", f"import os\nos.write(4, {sent!r})\n"))
    modules.event("forger", "returned", len(odd))
    shown = [one for one in modules.events("forger") if one["event"] == "returned"]
    assert not any("pid" in one for one in shown)
    records = modules.engine.since("module_event", 0, 10_000).records
    assert max(record.ts_ns for record in records) < 1 << 63
    assert all(math.isfinite(one["elapsed_us"] or 0) for one in shown)


def test_an_event_of_its_own_making_that_is_very_long_is_a_record_alone(
    modules: Modules, tmp_path: Path
) -> None:
    """Thousands of events are kept, whatever their size."""
    many = {f"field {number}": "x" * 1_000 for number in range(100)}
    sent = framed({"event": "returned", **many}) + framed({"event": "called"})
    modules.load(python_module(tmp_path, "forger", f"import os\nos.write(4, {sent!r})\n"))
    modules.event("forger", "called")
    assert "returned" not in modules.told("forger")
    records = modules.engine.since("plugin_record", 0, 10_000).records
    assert any("field 99" in str(record.get("fields")) for record in records)


def test_a_module_that_says_again_that_it_has_started_is_watched_once(
    modules: Modules, tmp_path: Path
) -> None:
    again = framed({"event": "started"}) * 20
    modules.load(python_module(tmp_path, "forger", f"import os\nos.write(4, {again!r})\n"))
    modules.event("forger", "started", 21)
    modules.load(python_module(tmp_path, "next", ""))
    modules.event("next", "watched")  # they are begun in turn
    assert modules.told("forger").count("watched") == 1


def test_steps_of_its_own_making_that_are_none_are_passed_over(
    modules: Modules, tmp_path: Path
) -> None:
    body = f"""
    import os
    told = '{{"event": "called", "self": "x", "text": "forged"}}'
    os.write({EVENTS_FD}, ("[" * 100_000 + "\\n" + told + "\\n").encode())
    """
    modules.load(python_module(tmp_path, "liar", body))
    assert modules.event("liar", "called")["text"] == "forged"
    modules.event("liar", "ready")


@pytest.mark.fault("kill -9 of the engine")
def test_modules_end_with_an_engine_that_is_killed(tmp_path: Path) -> None:
    file = python_module(tmp_path, "alone", "import os\nprint(os.getpid(), os.getppid())\n")
    command = [
        sys.executable, "-m", "tui.cli", "modules", "run", str(file), "--no-events", "--json",
        "--for", "600",
    ]  # fmt: skip
    with (
        own_temporary_files() as environment,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as engine,
    ):
        assert engine.stdout is not None
        told = map(json.loads, engine.stdout)
        runner = next(line["pid"] for line in told if line.get("event") == "ready")
        keeper = read_stat(runner).ppid
        engine.kill()
    wait_until(lambda: not process_exists(runner), DEADLINE_S)
    wait_until(lambda: not process_exists(keeper), DEADLINE_S)


@pytest.mark.fault("kill -9 of a module's runner or keeper")
def test_one_that_kills_its_keeper_is_told_to_have_ended(modules: Modules, tmp_path: Path) -> None:
    body = """
        import os, signal, threading
        def kill():
            os.kill(os.getppid(), signal.SIGKILL)
            threading.Event().wait()
    """
    modules.load(python_module(tmp_path, "parricide", body), symbol="kill", call="()")
    row = modules.gone("parricide")
    assert row["error"] == "module parricide: its keeper was ended from outside"
    assert modules.told("parricide")[-2:] == ["exited", "ended"]
    assert modules.engine.module_outcomes("parricide") >= {"exited", "ended"}


@pytest.mark.fault("kill -9 of a module's runner or keeper")
def test_one_that_stops_its_keeper_ends_with_it(modules: Modules, tmp_path: Path) -> None:
    body = """
        import os, signal, threading
        def stop():
            os.kill(os.getppid(), signal.SIGSTOP)
            threading.Event().wait()
    """
    modules.load(python_module(tmp_path, "captor", body), symbol="stop", call="()")
    row = modules.gone("captor")
    assert row["error"] == "module captor: its keeper was ended from outside"
    assert modules.told("captor")[-2:] == ["exited", "ended"]
    wait_until(lambda: not process_exists(row["pid"]), DEADLINE_S)
    said = [str(one.get("text")) for one in modules.engine.since("log", 0, 1_000).records]
    assert "the keeper of module captor was stopped, and has been killed" in said
