"""A plugin's life: what its row tells, how it is stopped, and how it is started again."""

from __future__ import annotations

import os
import signal
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from engine.agent import restart, roster
from engine.agent.host import PluginHost
from engine.agent.restart import Backoff, ExecutableWatch
from engine.core.errors import PluginError, UsageError
from tests.unit.agent.support import (
    PATIENT,
    STUBBORN,
    WAIT_FOR_THE_END,
    log_text,
    process_exists,
    record_frame,
    records,
    row,
    running_host,
    shell_plugin,
    states,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until

# Says goodbye when it is asked to go, and reports what became of that.
GOODBYE = """
client = sdk.Client()
client.send_record(7000, {"word": "hello"})
client.flush()
while client.receive_task() is not None:
    pass
try:
    for _ in range(1000):
        client.send_record(7000, {"word": "goodbye", "pad": "x" * 1000})
    client.close()
    print("all said", file=sys.stderr)
except BrokenPipeError:
    print("nobody listens", file=sys.stderr)
"""


def last_row(host: PluginHost, name: str) -> dict[str, Any]:
    """The plugin's newest record of a change of state."""
    batch = host.rings["plugin_state"].since(0)
    return [dict(one.as_json()) for one in batch.records if one.get("plugin") == name][-1]


# The row.


def test_a_running_plugins_row_tells_all_about_its_process(
    host: PluginHost, tmp_path: Path
) -> None:
    began = int(time.time())
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    wait_until(lambda: row(host, "patient").get("cpu") is not None)
    wait_until(lambda: row(host, "patient").get("disk") is not None)
    shown = row(host, "patient")
    pid = shown["pid"]
    assert shown["pgid"] == os.getpgid(pid) == pid
    assert began <= shown["started"] <= began + 5
    assert (shown["version"], shown["restarts"], shown["tasks_waiting"]) == ("", 0, 0)
    assert shown["kill_in_s"] is None
    assert shown["stderr"] == ()
    assert shown["disk"] == 0
    assert shown["read_speed"] >= 0
    assert shown["write_speed"] >= 0
    assert (shown["rx_rate"], shown["rx_speed"]) == (0, 0)


def test_the_rate_of_its_tasks_is_measured(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    wait_for_records(host, "patient", 1)

    def sent_and_seen() -> bool:
        host.send_task("patient", 1, "x" * 100)
        shown = row(host, "patient")
        return bool(shown["rx_rate"] > 0 and shown["rx_speed"] > 100 * shown["rx_rate"])

    wait_until(sent_and_seen)


def test_the_size_of_its_directory_is_measured(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "hoarder", "head -c 5000 /dev/zero > hoard", "exec sleep 99"))
    host.load(shell_plugin(tmp_path, "other", WAIT_FOR_THE_END))
    wait_until(lambda: row(host, "hoarder")["disk"] == 5_000)
    assert row(host, "other")["disk"] == 0


# What it wrote to stderr.


def test_stderr_of_an_earlier_run_outlives_the_agents_truncation(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(shell_plugin(tmp_path, "moody", "echo out of milk >&2", "exit 3"))
    wait_for_state(host, "moody", "exited")
    shell_plugin(tmp_path, "moody", "echo fine now >&2", "exec sleep 99")
    host.restart("moody")
    wanted = ["out of milk", "--- exited with code 3 ---", "fine now"]
    wait_until(lambda: host.stderr("moody") == wanted)
    wait_until(lambda: list(row(host, "moody")["stderr"]) == wanted)
    assert row(host, "moody")["last_stderr"] == "fine now"
    (stderr,) = Path(f"/proc/{row(host, 'moody')['pid']}/cwd").resolve().glob("*.stderr")
    assert stderr.read_text() == "fine now\n"
    assert stat.S_IMODE(stderr.stat().st_mode) == 0o600
    assert host.stderr("moody", 1) == ["fine now"]


def test_stderr_is_there_after_the_end(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "brief", "seq 30 >&2", "kill -KILL $$"))
    shown = wait_for_state(host, "brief", "exited")
    numbers = [str(number) for number in range(1, 31)]
    assert host.stderr("brief") == [*numbers, "--- was ended by SIGKILL ---"]
    assert list(shown["stderr"]) == [*numbers[-19:], "--- was ended by SIGKILL ---"]
    with pytest.raises(UsageError, match="no plugin named"):
        host.stderr("nobody")


def test_a_plugin_that_never_started_has_no_stderr(host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(PluginError):
        host.load(tmp_path / "missing")
    assert host.stderr("missing") == []
    assert host.tasks("missing") == ()


# Stopping.


def test_the_countdown_to_the_kill_is_in_the_row(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "stubborn", STUBBORN))
    (record,) = wait_for_records(host, "stubborn", 1)
    child = int(record["fields"]["child"])
    host.unload("stubborn", grace_s=1.0)
    first = row(host, "stubborn")
    assert first["state"] == "stopping"
    assert 0 < first["kill_in_s"] <= 1.0
    with pytest.raises(PluginError, match="already stopping"):
        host.load(tmp_path / "stubborn")
    wait_until(lambda: row(host, "stubborn").get("kill_in_s", 0) < first["kill_in_s"])
    assert process_exists(child)
    wait_until(lambda: not row(host, "stubborn"))
    wait_until(lambda: not process_exists(child))
    assert states(host, "stubborn") == ["loading", "running", "stopping", "exited"]
    assert last_row(host, "stubborn")["kill_in_s"] is None


def test_a_second_request_to_stop_can_only_shorten_the_wait(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(write_plugin(tmp_path, "stubborn", STUBBORN))
    wait_for_records(host, "stubborn", 1)
    host.unload("stubborn", grace_s=60)
    host.unload("stubborn", grace_s=0.1)
    wait_until(lambda: not row(host, "stubborn"), 5)


def test_words_said_after_the_request_to_stop_are_heard(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "polite", GOODBYE))
    wait_for_records(host, "polite", 1)
    host.unload("polite")
    wait_until(lambda: not row(host, "polite"))
    assert len(records(host, "polite")) == 1_001
    assert last_row(host, "polite")["last_stderr"] == "all said"


def test_an_agents_stop_hears_nothing_after_it(tmp_path: Path) -> None:
    with running_host(faithful=True) as host:
        host.load(write_plugin(tmp_path, "polite", GOODBYE))
        wait_for_records(host, "polite", 1)
        host.unload("polite")
        wait_until(lambda: not row(host, "polite"))
        assert [one["fields"]["word"] for one in records(host, "polite")] == ["hello"]
        last = last_row(host, "polite")
        assert (last["last_stderr"], last["exit_code"]) == ("nobody listens", 0)


def test_an_agents_stop_says_what_it_does_not_read(tmp_path: Path) -> None:
    released = threading.Event()
    with running_host(faithful=True) as host:
        (tmp_path / "record").write_bytes(record_frame({"pad": "x" * 1_000}))
        wait = f"until [ -e '{tmp_path}/go' ]; do sleep 0.01; done"
        lines = (wait, f"cat '{tmp_path}/record' >&4", "echo written >&2", "exec sleep 99")
        host.load(shell_plugin(tmp_path, "unheard", *lines))
        assert host._ingest is not None
        host._ingest.post(released.wait)
        (tmp_path / "go").write_text("")
        wait_until(lambda: host.stderr("unheard") == ["written"])
        host.unload("unheard", grace_s=0.0)
        released.set()
        wait_until(lambda: not row(host, "unheard"))
        size = (tmp_path / "record").stat().st_size
        assert f"unheard: {size} bytes it had sent are not read" in log_text(host)
        assert records(host, "unheard") == []


def test_the_agents_ten_seconds_hold_for_the_hosts_own_end_too(tmp_path: Path) -> None:
    lines = ("read -r line <&3", "sleep 1", "echo in time >&2", "exit 0")
    with running_host(faithful=True) as host:
        host.load(shell_plugin(tmp_path, "slow", *lines))
    shown = row(host, "slow")
    assert (shown["state"], shown["exit_code"]) == ("exited", 0)
    assert shown["last_stderr"] == "in time"
    assert states(host, "slow") == ["loading", "running", "stopping", "exited"]


# Starting again.


def test_a_delay_doubles_until_a_run_was_steady() -> None:
    backoff = Backoff()
    assert [backoff.delay_s(0) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff.delay_s(restart.STEADY_S), backoff.delay_s(0)] == [1, 2]


def test_no_plugin_is_started_again_unless_that_was_asked_for(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(shell_plugin(tmp_path, "brief", "exit 1"))
    host.load(shell_plugin(tmp_path, "again", "exit 1"), restart=True)
    wait_until(lambda: row(host, "again")["restarts"] >= 1)
    assert row(host, "brief")["restarts"] == 0
    assert states(host, "brief") == ["loading", "running", "exited"]


def test_a_plugin_that_exits_is_started_again_after_a_delay(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "FIRST_DELAY_S", 0.1)
    host.load(shell_plugin(tmp_path, "brief", "echo once >&2", "exit 1"), restart=True)
    wait_until(lambda: row(host, "brief")["restarts"] >= 2)
    assert host.stderr("brief")[:4] == ["once", "--- exited with code 1 ---"] * 2
    assert "plugin brief is started again in 0 s; a real agent would wait" in log_text(host)
    host.unload("brief")
    wait_until(lambda: not row(host, "brief"))


def test_a_plugin_that_is_stopped_is_not_started_again(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "FIRST_DELAY_S", 0.0)
    path = shell_plugin(tmp_path, "patient", WAIT_FOR_THE_END)
    host.load(path, restart=True)
    host.unload("patient")
    wait_until(lambda: not row(host, "patient"))
    host.load(path, name="another")
    wait_until(lambda: row(host, "another")["state"] == "running")
    assert states(host, "patient") == ["loading", "running", "stopping", "exited"]


def test_a_start_that_fails_is_tried_again(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restart, "FIRST_DELAY_S", 0.1)
    path = shell_plugin(tmp_path, "moody", "exit 1")
    host.load(path, restart=True)
    wait_for_state(host, "moody", "exited")
    path.unlink()
    wait_for_state(host, "moody", "failed")
    shell_plugin(tmp_path, "moody", "exec sleep 99")
    wait_for_state(host, "moody", "running")


def test_a_manual_restart_counts_and_ends_the_wait(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "moody", "exit 1"), restart=True)
    wait_for_state(host, "moody", "exited")
    shell_plugin(tmp_path, "moody", "exec sleep 99")
    host.restart("moody")
    shown = row(host, "moody")
    assert (shown["state"], shown["restarts"]) == ("running", 1)


# A changed executable.


def test_a_file_has_changed_once_it_is_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "plugin"
    path.write_text("one")
    watch = ExecutableWatch(path)
    assert [watch.changed(), watch.changed()] == [False, False]
    path.write_text("one and more")
    assert watch.changed() is False
    path.write_text("one and even more")
    assert watch.changed() is False
    assert [watch.changed(), watch.changed()] == [True, False]
    path.unlink()
    assert [watch.changed(), watch.changed()] == [False, False]
    path.write_text("two")
    assert [watch.changed(), watch.changed(), watch.changed()] == [False, True, False]


def test_a_plugin_whose_file_changes_is_started_again(host: PluginHost, tmp_path: Path) -> None:
    path = shell_plugin(tmp_path, "draft", "echo first >&2", WAIT_FOR_THE_END)
    host.load(path, watch=True)
    wait_until(lambda: row(host, "draft")["last_stderr"] == "first")
    path.unlink()
    shell_plugin(tmp_path, "draft", "echo second >&2", "exit 3")
    wait_until(lambda: row(host, "draft")["last_stderr"] == "second")
    wait_for_state(host, "draft", "exited")
    path.unlink()
    shell_plugin(tmp_path, "draft", "echo third >&2", "exec sleep 99")
    wait_until(lambda: row(host, "draft")["last_stderr"] == "third")
    shown = row(host, "draft")
    assert (shown["state"], shown["restarts"]) == ("running", 2)
    assert "plugin draft is started again: its file has changed" in log_text(host)


def test_a_changed_file_that_cannot_start_is_said(host: PluginHost, tmp_path: Path) -> None:
    path = shell_plugin(tmp_path, "draft", WAIT_FOR_THE_END)
    host.load(path, watch=True)
    path.unlink()
    path.write_text("no first line\n")
    path.chmod(0o700)
    assert "exec format error" in wait_for_state(host, "draft", "failed")["error"]
    assert "draft is not restarted" in log_text(host)


# What cannot be done.


def test_a_plugin_that_not_even_a_kill_ends_is_said(
    host: PluginHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    wait_for_records(host, "patient", 1)
    assert host._ingest is not None
    monkeypatch.setattr(host._ingest, "end", lambda run, grace_s: None)
    monkeypatch.setattr(roster, "STOP_GRACE_S", 60.0)
    monkeypatch.setattr(roster, "AFTER_KILL_S", -59.9)
    with pytest.raises(PluginError, match="does not end, not even when killed"):
        host._loader.remove("patient")
    os.kill(row(host, "patient")["pid"], signal.SIGKILL)
    wait_for_state(host, "patient", "exited")
