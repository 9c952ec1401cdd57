"""The plugin host: real plugins are loaded, heard, given tasks, and taken down."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
from pathlib import Path

import pytest

from engine.agent import decode, messages
from engine.agent.host import PluginHost
from engine.agent.wire import frame
from engine.core.clock import SystemClock
from engine.core.errors import PluginError, UsageError
from engine.core.source import Logbook
from tests.unit.agent.support import (
    PATIENT,
    STUBBORN,
    WAIT_FOR_THE_END,
    log_text,
    process_exists,
    raw_plugin,
    record_frame,
    records,
    row,
    shell_plugin,
    states,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until


def test_is_running_once_started(host: PluginHost) -> None:
    assert host.status().state == "running"
    assert host.tables() == {"plugin_state": ()}
    host.start()
    assert host.status().state == "running"


def test_a_plugins_records_are_kept_and_counted(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    (record,) = wait_for_records(host, "patient", 1)
    shown = row(host, "patient")
    assert record["fields"] == {"pid": str(shown["pid"])}
    assert (record["pid"], record["data_type"], record["faults"]) == (shown["pid"], 7000, ())
    assert shown["state"] == "running"
    assert shown["plugin_kind"] == "process"
    size = len(record_frame(record["fields"], 7000, record["timestamp"])) - 4
    assert (shown["tx_count"], shown["tx_bytes"], shown["dropped"]) == (1, size, 0)
    counters = host.counters()
    assert (counters.seen, counters.kept, dict(counters.dropped)) == (1, 1, {})


def test_every_change_of_state_is_a_record(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "brief", "echo 'out of luck' >&2", "exit 3"))
    shown = wait_for_state(host, "brief", "exited")
    assert states(host, "brief") == ["loading", "running", "exited"]
    assert shown["exit_code"] == 3
    assert shown["error"] == "plugin brief exited with code 3 unexpectedly"
    assert shown["last_stderr"] == "out of luck"
    assert "exited with code 3" in log_text(host)
    assert (shown["cpu"], shown["rss"], shown["fds"]) == (None, None, None)


def test_an_exit_code_of_0_is_unexpected_too(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "brief", "exit 0"))
    assert "with code 0 unexpectedly" in wait_for_state(host, "brief", "exited")["error"]


def test_a_death_by_signal_is_named(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "crash", "kill -SEGV $$"))
    shown = wait_for_state(host, "crash", "exited")
    assert shown["exit_code"] == -signal.SIGSEGV
    assert "ended by SIGSEGV" in shown["error"]


def test_a_plugin_that_sends_more_than_a_pipe_holds_is_heard_out(
    host: PluginHost, tmp_path: Path
) -> None:
    one = record_frame({"pad": "x" * 1_000})
    host.load(raw_plugin(tmp_path, "long", one * 5_000))
    shown = wait_for_state(host, "long", "exited")
    assert (shown["tx_count"], shown["tx_bytes"]) == (5_000, 5_000 * (len(one) - 4))


def test_a_record_of_5_mib_arrives_whole(host: PluginHost, tmp_path: Path) -> None:
    large, small = record_frame({"pad": "x" * (5 << 20)}), record_frame({"n": "1"})
    host.load(raw_plugin(tmp_path, "large", large + small))
    assert wait_for_state(host, "large", "exited")["tx_bytes"] == len(large) + len(small) - 8
    first, second = records(host)
    assert first["fields"]["pad"].startswith("xxx")
    assert second["fields"] == {"n": "1"}


def test_losses_are_counted_by_reason_and_the_rest_is_kept(
    host: PluginHost, tmp_path: Path
) -> None:
    good = record_frame({"n": "1"})
    over_long = (9 << 20).to_bytes(4, "little") + bytes(9 << 20)
    stream = good + frame(b"") + good + over_long + good + good[:-3]
    host.load(raw_plugin(tmp_path, "hostile", stream))
    shown = wait_for_state(host, "hostile", "exited")
    counters = host.counters()
    assert dict(counters.dropped) == {"zero_length": 1, "over_long": 1, "truncated": 1}
    assert (counters.seen, counters.kept) == (6, 3)
    assert (shown["tx_count"], shown["dropped"]) == (6, 3)
    assert len(records(host)) == 3
    assert "records of length 0" in log_text(host)


def test_a_plugin_whose_stream_makes_no_sense_is_stopped_and_the_others_go_on(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    stream = record_frame({"n": "1"}) + b"GET / HTTP/1.1\r\n"
    host.load(raw_plugin(tmp_path, "web", stream, WAIT_FOR_THE_END))
    shown = wait_for_state(host, "web", "failed")
    assert "announced a record of 542393671 bytes" in shown["error"]
    assert (shown["exit_code"], shown["tx_count"], shown["dropped"]) == (-9, 2, 1)
    wait_for_records(host, "patient", 1)
    assert row(host, "patient")["state"] == "running"


def test_records_a_real_agent_would_trip_over_are_shown_with_the_reason(
    host: PluginHost, tmp_path: Path
) -> None:
    bodies = [b"\x08\x05\x10\x05", b"\x10\x05\x1a\x00", b"\x08\x05\x1a\x00", b"\xff\xff"]
    host.load(raw_plugin(tmp_path, "sloppy", b"".join(map(frame, bodies))))
    wait_for_state(host, "sloppy", "exited")
    shown = records(host)
    assert [one["faults"] for one in shown] == [
        (decode.NO_PAYLOAD,),
        (decode.DATA_TYPE_ZERO,),
        (decode.TIMESTAMP_ZERO,),
        (decode.NOT_PROTOBUF,),
    ]
    assert all("a real agent would have" in one["agent_reading"] for one in shown)
    assert [host.raw(one["seq"]) for one in shown] == bodies


def test_a_plugin_that_closes_its_record_pipe_goes_on(host: PluginHost, tmp_path: Path) -> None:
    host.load(raw_plugin(tmp_path, "mute", record_frame({}), "exec 4>&-; " + WAIT_FOR_THE_END))
    wait_for_records(host, "mute", 1)
    host.unload("mute")
    wait_until(lambda: not row(host, "mute"))
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("state"), last.get("exit_code"), last.get("dropped")) == ("exited", 0, 0)


# Tasks.


def test_a_task_reaches_the_plugin_and_its_reply_comes_back(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(
        write_plugin(
            tmp_path,
            "echo",
            """
            client = sdk.Client()
            while (task := client.receive_task()) is not None:
                client.reply(task, task.data_type != 9, task.data + " for " + task.object_name)
            client.close()
            """,
        )
    )
    token = host.send_task("echo", 7, "tea")
    wait_until(lambda: "->" in row(host, "echo")["last_task"])
    shown = row(host, "echo")
    assert shown["last_task"].startswith('7 -> succeed: "tea for echo" in ')
    assert shown["rx_count"] == 1
    assert shown["rx_bytes"] == 4 + len(messages.encode_task(7, "echo", "tea", token))
    (reply,) = records(host, "echo")
    assert reply["data_type"] == 5100
    assert reply["fields"]["token"] == token
    assert host.send_task("echo", 9, "x") != token
    wait_until(lambda: row(host, "echo")["last_task"].startswith("9 -> failed"))


def test_tasks_larger_than_the_pipe_arrive_whole(host: PluginHost, tmp_path: Path) -> None:
    host.load(
        write_plugin(
            tmp_path,
            "sum",
            """
            client = sdk.Client()
            while (task := client.receive_task()) is not None:
                client.reply(task, True, str(sum(map(int, task.data.split()))))
            client.close()
            """,
        )
    )
    numbers = list(range(100_000))
    host.send_task("sum", 7, " ".join(map(str, numbers)))
    wait_until(lambda: f'"{sum(numbers)}"' in row(host, "sum")["last_task"])


def test_a_task_is_lost_with_the_plugin(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "reader", "head -c 4 <&3 >/dev/null", "exit 0"))
    host.send_task("reader", 7, "tea")
    shown = wait_for_state(host, "reader", "exited")
    assert shown["last_task"] == "7 lost: it has exited"
    with pytest.raises(PluginError, match="does not run"):
        host.send_task("reader", 7, "tea")


def test_a_plugin_that_closes_its_task_pipe_gets_no_more_tasks(
    host: PluginHost, tmp_path: Path
) -> None:
    lines = ("exec 3>&-", f"cat '{tmp_path}/record' >&4", "sleep 1000")
    (tmp_path / "record").write_bytes(record_frame({}))
    host.load(shell_plugin(tmp_path, "deaf", *lines))
    wait_for_records(host, "deaf", 1)
    host.send_task("deaf", 7, "")
    wait_until(lambda: row(host, "deaf")["last_task"] == "7 lost: it has closed its task pipe")
    with pytest.raises(PluginError, match="has closed its task pipe"):
        host.send_task("deaf", 7, "")
    assert row(host, "deaf")["state"] == "running"


def test_a_task_for_nobody_names_those_who_are_there(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    with pytest.raises(UsageError, match=r"no plugin named 'nobody' \(loaded are: patient\)"):
        host.send_task("nobody", 7, "")


# Stopping and starting again.


def test_unload_lets_a_plugin_finish_and_takes_it_off_the_list(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(
        write_plugin(
            tmp_path,
            "polite",
            """
            with sdk.Client() as client:
                client.send_record(7000, {"word": "hello"})
                while client.receive_task() is not None:
                    pass
                for _ in range(1000):
                    client.send_record(7000, {"word": "goodbye"})
            """,
        )
    )
    wait_for_records(host, "polite", 1)
    host.unload("polite")
    wait_until(lambda: not row(host, "polite"))
    assert [one["fields"]["word"] for one in records(host)] == ["hello"] + ["goodbye"] * 1000
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("state"), last.get("exit_code"), last.get("error")) == ("exited", 0, "")
    with pytest.raises(UsageError, match="no plugin named 'polite'"):
        host.unload("polite")


def test_a_plugin_that_does_not_go_is_killed_with_its_group(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(write_plugin(tmp_path, "stubborn", STUBBORN))
    (record,) = wait_for_records(host, "stubborn", 1)
    host.unload("stubborn", grace_s=0.1)
    wait_until(lambda: not row(host, "stubborn"))
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("state"), last.get("exit_code")) == ("exited", -signal.SIGKILL)
    assert last.get("error") == "plugin stubborn did not exit in time and was killed"
    wait_until(lambda: not process_exists(int(record["fields"]["child"])))


def test_restart_starts_it_again_with_fresh_counters(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    wait_for_records(host, "patient", 1)
    first = row(host, "patient")
    host.restart("patient")
    wait_until(lambda: row(host, "patient").get("pid") not in (None, first["pid"]))
    wait_for_records(host, "patient", 1)
    assert [one["fields"]["pid"] for one in records(host)] == [
        str(first["pid"]), str(row(host, "patient")["pid"]),
    ]  # fmt: skip
    assert states(host, "patient") == [
        "loading", "running", "stopping", "exited", "loading", "running",
    ]  # fmt: skip
    assert row(host, "patient")["restarts"] == 1
    assert host.counters().kept == 2


def test_restart_brings_an_exited_plugin_back(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "once", "exit 1"))
    wait_for_state(host, "once", "exited")
    shell_plugin(tmp_path, "once", WAIT_FOR_THE_END)
    host.restart("once")
    shown = row(host, "once")
    assert (shown["state"], shown["error"], shown["exit_code"]) == ("running", "", None)


def test_a_restart_that_fails_is_in_the_row_and_in_the_log(
    host: PluginHost, tmp_path: Path
) -> None:
    path = write_plugin(tmp_path, "patient", PATIENT)
    host.load(path)
    wait_for_records(host, "patient", 1)
    path.unlink()
    host.restart("patient")
    assert "No such file" in wait_for_state(host, "patient", "failed")["error"]
    assert "patient is not restarted" in log_text(host)


def test_unloading_an_exited_plugin_takes_it_off_at_once(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "brief", "exit 0"))
    wait_for_state(host, "brief", "exited")
    host.unload("brief")
    assert host.tables() == {"plugin_state": ()}


# Refusals.


def test_a_plugin_that_cannot_start_shows_why(host: PluginHost, tmp_path: Path) -> None:
    path = tmp_path / "broken"
    with pytest.raises(PluginError, match="No such file or directory"):
        host.load(path)
    shown = row(host, "broken")
    assert (shown["state"], shown.get("pid")) == ("failed", None)
    assert (shown["tx_count"], shown["tx_rate"], shown["last_task"]) == (0, 0.0, "")
    assert "No such file or directory" in shown["error"]
    assert states(host, "broken") == ["loading", "failed"]
    shell_plugin(tmp_path, "broken", WAIT_FOR_THE_END)
    assert host.load(path) == "broken"
    assert row(host, "broken")["state"] == "running"


@pytest.mark.parametrize("name", ["a.b", "../up", "", "a b", "ä", "a\n", "\x1b[2J"])
def test_refuses_the_names_an_agent_refuses(host: PluginHost, name: str) -> None:
    path = Path("/nowhere", "no.such.thing")
    with pytest.raises(UsageError, match="invalid plugin name") as caught:
        host.load(path, name=name)
    assert caught.value.message.isprintable()
    assert host.tables() == {"plugin_state": ()}


def test_refuses_a_second_plugin_of_the_same_name(host: PluginHost, tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "patient", PATIENT)
    host.load(path)
    with pytest.raises(PluginError, match="already running"):
        host.load(path)
    assert host.load(path, name="another") == "another"
    assert [one.get("plugin") for one in host.tables()["plugin_state"]] == ["patient", "another"]


def test_works_in_the_directory_it_is_given(host: PluginHost, tmp_path: Path) -> None:
    """Plugins read what was unpacked beside them by a relative path."""
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "frame").write_bytes(record_frame({"found": "yes"}))
    host.load(shell_plugin(tmp_path, "reader", "cat frame >&4"), directory=beside)
    (record,) = wait_for_records(host, "reader", 1)
    assert record["fields"] == {"found": "yes"}
    host.sync(())
    assert (beside / "frame").exists(), "what is not the host's is not removed"


def test_refuses_a_detail_that_cannot_be_in_an_environment(
    host: PluginHost, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="NUL"):
        host.load(write_plugin(tmp_path, "patient", PATIENT), detail="a\0b")


def test_refuses_to_load_before_it_is_started(tmp_path: Path) -> None:
    clock = SystemClock()
    host = PluginHost(clock, Logbook(clock))
    with pytest.raises(PluginError, match="not running"):
        host.load(write_plugin(tmp_path, "patient", PATIENT))
    host.stop()


# The end of the host.


def started_host(run_dir: Path | None = None) -> PluginHost:
    clock = SystemClock()
    host = PluginHost(clock, Logbook(clock), run_dir=run_dir)
    host.start()
    return host


def test_stop_ends_every_plugin_and_its_group(tmp_path: Path) -> None:
    host = started_host()
    host.load(write_plugin(tmp_path, "stubborn", STUBBORN))
    host.load(shell_plugin(tmp_path, "polite", WAIT_FOR_THE_END))
    (record,) = wait_for_records(host, "stubborn", 1)
    host.stop()
    host.stop()
    assert not process_exists(row(host, "stubborn")["pid"])
    assert not process_exists(row(host, "polite")["pid"])
    wait_until(lambda: not process_exists(int(record["fields"]["child"])))
    assert (row(host, "polite")["exit_code"], row(host, "polite")["error"]) == (0, "")
    assert records(host) == [record]


def test_stop_takes_what_a_plugin_left_in_its_group(tmp_path: Path) -> None:
    host = started_host()
    lines = ("sleep 1000 &", "echo $! >&2", f"cat '{tmp_path}/record' >&4", WAIT_FOR_THE_END)
    (tmp_path / "record").write_bytes(record_frame({}))
    host.load(shell_plugin(tmp_path, "parent", *lines))
    wait_for_records(host, "parent", 1)
    host.stop()
    left = int(row(host, "parent")["last_stderr"])
    wait_until(lambda: not process_exists(left))


def test_a_record_cut_off_by_our_own_kill_is_no_loss(tmp_path: Path) -> None:
    host = started_host()
    cut = record_frame({"n": "1"}) + record_frame({"n": "2"})[:-1]
    host.load(raw_plugin(tmp_path, "cut", cut, "sleep 1000"))
    wait_for_records(host, "cut", 1)
    host.stop()
    counters = host.counters()
    assert (counters.seen, counters.kept, dict(counters.dropped)) == (1, 1, {})


def test_its_own_directory_is_private_and_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    host = started_host()
    host.load(shell_plugin(tmp_path, "polite", WAIT_FOR_THE_END))
    (run_dir,) = tmp_path.glob("boxscope-*")
    assert stat.S_IMODE(run_dir.stat().st_mode) == 0o700
    assert (run_dir / "plugin" / "polite" / "polite.stderr").exists()
    host.stop()
    assert not run_dir.exists()


def test_a_directory_it_was_given_stays(tmp_path: Path) -> None:
    host = started_host(tmp_path / "run")
    path = shell_plugin(tmp_path, "polite", "pwd >&2", WAIT_FOR_THE_END)
    host.load(path, in_place=False)
    installed = tmp_path / "run" / "plugin" / "polite" / "polite"
    command = Path(f"/proc/{row(host, 'polite')['pid']}/cmdline")
    wait_until(lambda: command.read_bytes().split(b"\0")[-2:] == [os.fsencode(installed), b""])
    host.stop()
    assert row(host, "polite")["last_stderr"] == str(installed.parent)
    assert installed.read_bytes() == path.read_bytes()


def test_a_directory_it_cannot_make_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    host = started_host(tmp_path / "file" / "run")
    assert host.status().state == "failed"
    assert "cannot make the plugins' directory" in host.status().reason
    with pytest.raises(PluginError, match="not running"):
        host.load(write_plugin(tmp_path, "patient", PATIENT))
    host.stop()


def test_an_error_nobody_thought_of_fails_the_source_and_still_ends_its_plugins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = started_host()

    def explode(*_: object) -> None:
        raise ValueError("out of\nthe blue")

    monkeypatch.setattr(host, "received", explode)
    host.load(write_plugin(tmp_path, "patient", PATIENT))
    pid = row(host, "patient")["pid"]
    wait_until(lambda: host.status().state == "failed")
    assert "ValueError: out of␊the blue" in host.status().reason
    host.stop()
    assert not process_exists(pid)
