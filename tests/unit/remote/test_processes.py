"""Engine and consoles as real processes: who may what, and what becomes of those that die."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.remote.commands import COMMANDS
from engine.remote.hello import Hello
from engine.remote.remote import RemoteEngine
from tests.unit.remote.processes import FLOOD, WITHOUT_PROBE, attach, lines, running_engine, source
from tests.unit.remote.serving import RawConsole
from tests.waiting import wait_until

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
LARGE = '{"rate": 4000, "size": 16000}'
FLOODED = '{"rate": 20000}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "engine.sock"


def test_an_engine_serves_several_and_ends_in_good_order(path: Path) -> None:
    with running_engine(path, "--plugin", str(FLOOD)) as engine:
        flags = ("--json", "--kind", "plugin_record", "--count", "200", "--filter", "data_type > 1")
        streams = [attach(path, *flags) for _ in range(2)]
        with RemoteEngine(path) as console:
            wait_until(lambda: flood_runs(console))
            console.send_task("flood", 7011, '{"rate": 500}')
            told = [lines(stream) for stream in streams]
            second = subprocess.run(
                [sys.executable, "-m", "tui.cli", "engine", "--socket", str(path)],
                capture_output=True,
                text=True,
            )
            assert second.returncode == 1
            assert f"process {engine.pid}, owns {path} already" in second.stderr
            engine.send_signal(signal.SIGTERM)
            (stats,) = lines(engine)
            wait_until(lambda: console.lost)
            assert console.since("plugin_record", 0, 10).records
    for printed in told:
        kinds = [line["kind"] for line in printed]
        assert kinds == ["recording", *["plugin_record"] * 200, "stats"]
        attached = source(printed[-1], "attach")
        assert attached["dropped"] == {}
        assert attached["seen"] >= 200
    assert engine.returncode == 130
    assert source(stats, "agent")["kept"] >= 200
    assert source(stats, "probe")["state"] == "failed"
    assert not path.exists()


def test_an_engine_begins_with_a_workspace(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "w.toml"
    file.write_text(
        f'version = 1\nports = "18080"\nwasm = ["gone.wasm"]\n'
        f'[[plugins]]\nfile = "{FLOOD}"\nname = "w"\n'
    )
    with running_engine(path, "--workspace", str(file), "--open-port", "18081") as engine:
        assert engine.stderr is not None
        told = engine.stderr.readline()
        assert told.startswith("boxscope: not restored: ")
        assert "gone.wasm" in told
        with RemoteEngine(path) as console:
            wait_until(lambda: flood_runs(console))
            (row,) = console.snapshot().tables["plugin_state"]
            assert row.get("plugin") == "w"
            explained = console.explain(os.getpid())
            assert "18081" in " ".join(explained.lines()), "flags come before the workspace"


def flood_runs(console: RemoteEngine) -> bool:
    """Whether the plugin can be told how much to send."""
    rows = console.snapshot().tables.get("plugin_state", ())
    return any(row.get("state") == "running" for row in rows)


def test_a_console_that_is_stopped_loses_records_counted_and_slows_nobody(path: Path) -> None:
    with running_engine(path, "--plugin", str(FLOOD)), RemoteEngine(path) as console:
        wait_until(lambda: flood_runs(console))
        # None is printed: a pipe nobody reads would stop it as well.
        flags = ("--json", "--kind", "plugin_record", "--filter", "data_type == 1")
        stopped = attach(path, *flags)
        assert stopped.stdout is not None
        assert json.loads(stopped.stdout.readline())["kind"] == "recording"
        os.kill(stopped.pid, signal.SIGSTOP)
        console.send_task("flood", 7011, LARGE)
        wait_until(lambda: _kept(console) > 15_000, 60)  # more than the engine's memory holds
        console.send_task("flood", 7011, '{"rate": 0}')
        os.kill(stopped.pid, signal.SIGCONT)
        stopped.send_signal(signal.SIGINT)
        out, err = stopped.communicate(timeout=60)
        assert console.snapshot().sources["agent"].counters.dropped == {}
    attached = source(json.loads(out.splitlines()[-1]), "attach")
    assert attached["dropped"].keys() == {"console_behind"}
    assert f"the filter chose 0 of {attached['kept']} records" in err


def _kept(console: RemoteEngine) -> int:
    return console.snapshot().sources["agent"].counters.kept


def test_an_engine_survives_consoles_that_are_killed_anywhere(path: Path) -> None:
    rights = ["nohup", *WITHOUT_PROBE]
    with running_engine(path, "--plugin", str(FLOOD), rights=rights) as engine:
        engine.send_signal(signal.SIGHUP)
        with RemoteEngine(path) as console:
            wait_until(lambda: flood_runs(console))
            console.send_task("flood", 7011, FLOODED)
            for _ in range(3):
                victim = attach(path, "--json")
                assert victim.stdout is not None
                assert victim.stdout.read(5_000)
                victim.kill()
                victim.communicate()
            before = console.last_seq("plugin_record")
            wait_until(lambda: console.last_seq("plugin_record") > before)
            attached = f"the console {victim.pid} of uid {os.geteuid()} is attached"
            wait_until(lambda: attached in _log(console))
            wait_until(lambda: _log(console).count("is gone") >= 3)
        assert engine.poll() is None
        assert _threads(engine.pid, "attach-") <= 3, "door, and what is about to end"


def _log(console: RemoteEngine) -> str:
    return " ".join(str(line.get("text")) for line in console.since("log", 0).records)


def _threads(pid: int, prefix: str) -> int:
    names = [task.read_text() for task in Path(f"/proc/{pid}/task").glob("*/comm")]
    return sum(name.startswith(prefix) for name in names)


def test_a_console_says_that_its_engine_was_killed_and_finds_the_next_one(path: Path) -> None:
    with running_engine(path) as engine:
        console = RemoteEngine(path)
        console.start()
        stream = attach(path, "--json", "--kind", "log")
        assert stream.stdout is not None
        stream.stdout.readline()
        engine.kill()
        wait_until(lambda: console.lost)
        assert console.lost == f"the engine, process {engine.pid}, has gone"
        out, err = stream.communicate(timeout=30)
    assert stream.returncode == 1
    assert "has gone" in err
    assert json.loads(out.splitlines()[-1])["kind"] == "stats"
    assert path.exists(), "a dead engine's"
    with running_engine(path) as following:
        wait_until(lambda: not console.lost, 30)
        wait_until(lambda: console.snapshot().host.hostname)
        facts = console.snapshot().attached
        assert facts is not None
        assert facts.pid == following.pid
        console.stop()


def test_an_engine_that_hangs_is_said_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.remote.following.SILENCE_S", 1.5)
    with running_engine(path) as engine, RemoteEngine(path) as console:
        os.kill(engine.pid, signal.SIGSTOP)
        wait_until(lambda: console.snapshot().sources["attach"].state == "degraded")
        assert f"process {engine.pid}, has said nothing" in _reason(console)
        os.kill(engine.pid, signal.SIGCONT)
        wait_until(lambda: console.snapshot().sources["attach"].state == "running")


def _reason(console: RemoteEngine) -> str:
    return console.snapshot().sources["attach"].reason


def test_it_ends_even_if_a_console_does_not_read(path: Path) -> None:
    with running_engine(path, "--plugin", str(FLOOD)) as engine:
        hung = RawConsole(path)
        hung.greet(Hello(every=True))
        with RemoteEngine(path) as console:
            wait_until(lambda: flood_runs(console))
            console.send_task("flood", 7011, FLOODED)
            wait_until(lambda: _kept(console) > 20_000)
        engine.send_signal(signal.SIGTERM)
        (stats,) = lines(engine)
        hung.close()
    assert source(stats, "agent")["kept"]
    assert not path.exists()


# Other users.


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that everybody may pass."""
    folder = Path(tempfile.mkdtemp(prefix="boxscope-attach-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def foreign(path: Path) -> list[dict[str, Any]]:
    """What another user is told and may do."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.remote.foreign_console", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@needs_root
def test_another_user_of_the_group_may_look_and_do_nothing(open_folder: Path) -> None:
    path = open_folder / "boxscope" / "engine.sock"
    with running_engine(path, "--group", "nogroup"), RemoteEngine(path) as owner:
        wait_until(lambda: "plugin_state" in owner.snapshot().tables)
        seen, *tried = foreign(path)
        assert seen["read_only"] is True
        assert "process" in seen["tables"]
        refused = {str(one["command"]) for one in tried if "may only look" in str(one["refusal"])}
        assert refused == {name for name, command in COMMANDS.items() if command.changes}
        assert not Path("/tmp/x").exists()
        assert owner.snapshot().recording is None
        assert owner.snapshot().tables["plugin_state"] == ()
        assert not any(row.get("on") for row in owner.snapshot().tables["subscription"])


@needs_root
def test_without_a_group_another_user_is_not_let_in(open_folder: Path) -> None:
    path = open_folder / "engine.sock"
    with running_engine(path):
        assert "is not for this user" in str(foreign(path)[0]["refused"])
        path.chmod(0o666)
        assert "has no group" in str(foreign(path)[0]["refused"]), "even if it can reach it"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["attach", "--headless", "--socket", "/no/such.sock"], 1, "no engine listens"),
        (["attach", "--socket", "/no/such.sock", "--json"], 2, "--headless"),
        (["attach", "--socket", "/no/such.sock"], 2, "needs a terminal"),
        (["attach", "--headless", "--kind", "event"], 2, "--kind"),
        (["attach", "--headless", "--socket", "/x", "--filter", "no == 1"], 2, "no field no"),
        (["engine", "--socket", "/proc/x/y.sock"], 1, "cannot listen"),
        (["engine", "--group", "no-such-group"], 2, "no group"),
        (["engine", "-e", "opnat"], 2, "opnat"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_bad_input_is_a_clear_error(arguments: list[str], code: int, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
