"""Plugins are loaded from a configuration in the agent's order, and a pushed list is made true."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from engine.agent.config import PluginConfig
from engine.agent.host import PluginHost
from engine.core.errors import PluginError, UsageError
from tests.unit.agent.artifacts import file_with, member, sha256, tar_gz, web_server
from tests.unit.agent.support import (
    PATIENT,
    WAIT_FOR_THE_END,
    log_text,
    row,
    running_host,
    shell_plugin,
    states,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until


def program(*lines: str) -> bytes:
    return "\n".join(["#!/bin/sh", *lines, ""]).encode()


PROGRAM = program("echo one >&2", WAIT_FOR_THE_END)
NEWER = program("echo two >&2", WAIT_FOR_THE_END)


def config(
    content: bytes, *urls: str, name: str = "demo", version: str = "1", **more: Any
) -> PluginConfig:
    return PluginConfig(
        name=name, version=version, sha256=sha256(content), download_urls=urls, **more
    )


def said(host: PluginHost, name: str, line: str) -> None:
    """Wait until the plugin's last stderr line is that."""
    wait_until(lambda: row(host, name).get("last_stderr") == line)


# One plugin.


def test_a_plugin_is_downloaded_verified_and_run_from_its_directory(tmp_path: Path) -> None:
    content = program('echo "$0" >&2', "pwd >&2", 'echo "$DETAIL" >&2', WAIT_FOR_THE_END)
    with running_host(run_dir=tmp_path / "run") as host, web_server({"/demo": content}) as web:
        assert host.load_config(config(content, web.url("/demo"), detail="tea")) is True
        directory = tmp_path / "run" / "plugin" / "demo"
        wait_until(lambda: host.stderr("demo") == [f"{directory}/demo", str(directory), "tea"])
        shown = row(host, "demo")
        assert (shown["state"], shown["version"]) == ("running", "1")
        assert sorted(entry.name for entry in directory.iterdir()) == ["demo", "demo.stderr"]


def test_a_plugin_out_of_an_archive_finds_its_files(host: PluginHost) -> None:
    packed = tar_gz(
        member("demo", program("cat rules/a >&2", WAIT_FOR_THE_END)), member("rules/a", b"rule")
    )
    with web_server({"/demo.tar.gz": packed}) as web:
        host.load_config(config(packed, web.url("/demo.tar.gz"), type="tar.gz"))
        said(host, "demo", "rule")


def test_the_same_version_that_runs_is_left_alone(host: PluginHost) -> None:
    with web_server({"/demo": PROGRAM, "/newer": NEWER}) as web:
        host.load_config(config(PROGRAM, web.url("/demo")))
        pid = row(host, "demo")["pid"]
        assert host.load_config(config(NEWER, web.url("/newer"), detail="changed")) is False
        assert web.asked == ["/demo"]
    assert row(host, "demo")["pid"] == pid


def test_another_version_takes_the_place_of_the_one_that_runs(host: PluginHost) -> None:
    with web_server({"/demo": PROGRAM, "/newer": NEWER}) as web:
        host.load_config(config(PROGRAM, web.url("/demo")))
        said(host, "demo", "one")
        assert host.load_config(config(NEWER, web.url("/newer"), version="0.9")) is True
        said(host, "demo", "two")
    shown = row(host, "demo")
    assert (shown["version"], shown["restarts"], shown["state"]) == ("0.9", 0, "running")
    assert states(host, "demo") == [
        "loading", "running", "stopping", "exited", "loading", "running",
    ]  # fmt: skip
    assert host.stderr("demo") == ["one", "--- exited with code 0 ---", "two"]


def test_an_upgrade_that_fails_leaves_the_old_one_down(host: PluginHost) -> None:
    with web_server({"/demo": PROGRAM}) as web:
        host.load_config(config(PROGRAM, web.url("/demo")))
        with pytest.raises(PluginError, match="cannot download it"):
            host.load_config(config(NEWER, web.url("/demo"), version="2"))
    shown = row(host, "demo")
    assert (shown["state"], shown["version"], shown.get("pid")) == ("failed", "2", None)
    assert "cannot download it" in shown["error"]


def test_a_plugin_that_has_exited_is_started_again_whatever_its_version(host: PluginHost) -> None:
    content = program("exit 3")
    with web_server({"/demo": content}) as web:
        host.load_config(config(content, web.url("/demo")))
        wait_for_state(host, "demo", "exited")
        assert host.load_config(config(content, web.url("/demo"))) is True
        wait_for_state(host, "demo", "exited")
        assert row(host, "demo")["restarts"] == 1
        assert web.asked == ["/demo"]


def test_a_mismatching_file_is_not_run_where_a_real_agent_would(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    installed = tmp_path / "run" / "plugin" / "demo" / "demo"
    file_with(installed, program(f"touch '{trap}'"), 0o700)
    with running_host(run_dir=tmp_path / "run") as host:
        with pytest.raises(PluginError, match="a real agent would run it all the same"):
            host.load_config(config(PROGRAM))
        assert row(host, "demo")["state"] == "failed"
    assert not trap.exists()


@pytest.mark.parametrize("name", ["", "a.b", "../x", "a/b", "\x1b[2J"])
def test_the_name_is_checked_before_anything_else(host: PluginHost, name: str) -> None:
    with pytest.raises(UsageError, match="invalid plugin name"):
        host.load_config(config(PROGRAM, name=name))
    assert host.tables() == {"plugin_state": ()}


class SlowServer:
    """A server that holds an artifact back until it is released."""

    def __init__(self, content: bytes) -> None:
        self.asked = threading.Event()
        self.released = threading.Event()
        self._content = content

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(self._content)))
        request.end_headers()
        request.wfile.write(self._content[:5])
        self.asked.set()
        self.released.wait(20)
        request.wfile.write(self._content[5:])


class Loader(threading.Thread):
    """Loads a configuration in a thread of its own, and keeps the error."""

    def __init__(self, host: PluginHost, wanted: PluginConfig) -> None:
        super().__init__()
        self.error: Exception | None = None
        self._host, self._wanted = host, wanted
        self.start()

    def run(self) -> None:
        try:
            self._host.load_config(self._wanted)
        except PluginError as error:
            self.error = error


def test_a_slow_download_holds_up_nobody_else(host: PluginHost, tmp_path: Path) -> None:
    slow = SlowServer(PROGRAM)
    with web_server({"/demo": slow.answer}) as web:
        loader = Loader(host, config(PROGRAM, web.url("/demo")))
        slow.asked.wait(10)
        assert row(host, "demo")["state"] == "loading"
        host.load(write_plugin(tmp_path, "patient", PATIENT))
        host.send_task("patient", 1, "")
        wait_for_records(host, "patient", 1)
        with pytest.raises(PluginError, match="still being loaded"):
            host.restart("demo")
        slow.released.set()
        loader.join()
    assert loader.error is None
    assert row(host, "demo")["state"] == "running"


@pytest.mark.parametrize("how", ["unload", "stop"])
def test_a_download_nobody_wants_any_more_starts_nothing(how: str) -> None:
    slow = SlowServer(PROGRAM)
    with running_host() as host, web_server({"/demo": slow.answer}) as web:
        loader = Loader(host, config(PROGRAM, web.url("/demo")))
        slow.asked.wait(10)
        if how == "unload":
            host.unload("demo")
        else:
            host.stop()
        slow.released.set()
        loader.join()
        assert loader.error is not None
        assert "running" not in states(host, "demo")


def test_a_download_tells_how_far_it_is_and_can_be_cancelled() -> None:
    slow = SlowServer(PROGRAM)
    with running_host() as host, web_server({"/demo": slow.answer}) as web:
        loader = Loader(host, config(PROGRAM, web.url("/demo")))
        tasks = host.logbook.tasks
        wait_until(lambda: any(task.done for task in tasks.facts()))
        (task,) = tasks.facts()
        assert task.name == "installing the plugin demo"
        assert 0 < task.done < len(PROGRAM) == task.total
        tasks.cancel(task.number)
        slow.released.set()
        loader.join()
        assert "given up" in str(loader.error)
        assert row(host, "demo")["state"] == "failed"
        assert tasks.facts() == ()


# A list.


def outcome(host: PluginHost, *configs: PluginConfig) -> list[tuple[str, str, str]]:
    return [(step.plugin, step.action, step.error) for step in host.sync(configs)]


def test_a_list_adds_upgrades_restarts_and_removes(tmp_path: Path) -> None:
    brief = program("exit 1")
    answers = {"/demo": PROGRAM, "/newer": NEWER, "/brief": brief}
    with running_host(run_dir=tmp_path / "run") as host, web_server(answers) as web:
        old = config(PROGRAM, web.url("/demo"))
        short = config(brief, web.url("/brief"), name="brief")
        going = config(PROGRAM, web.url("/demo"), name="going")
        same = config(PROGRAM, web.url("/demo"), name="same")
        configs = (old, short, going, same)
        assert outcome(host, *configs) == [(one.name, "load", "") for one in configs]
        wait_for_state(host, "brief", "exited")
        assert json.loads(abnormal(host)) == ["plugin brief exited with code 1 unexpectedly"]

        upgraded = config(NEWER, web.url("/newer"), version="2")
        added = config(PROGRAM, web.url("/demo"), name="added")
        expected = [
            ("demo", "replace", ""),
            ("brief", "restart", ""),
            ("same", "keep", ""),
            ("added", "load", ""),
            ("going", "remove", ""),
        ]
        planned = host.plan((upgraded, short, same, added))
        assert [(step.plugin, step.action, step.error) for step in planned] == expected
        assert outcome(host, upgraded, short, same, added) == expected
        said(host, "demo", "two")
        assert row(host, "going") == {}
        assert sorted(entry.name for entry in (tmp_path / "run" / "plugin").iterdir()) == [
            "added", "brief", "demo", "same",
        ]  # fmt: skip


def abnormal(host: PluginHost) -> str:
    return host._roster.agent_state.fields()["state_detail"]


def test_one_failure_stops_nothing_else_and_makes_the_agent_abnormal(host: PluginHost) -> None:
    with web_server({"/demo": PROGRAM}) as web:
        bad = config(NEWER, web.url("/none"), name="bad")
        worse = config(NEWER, web.url("/none"), name="../worse")
        good = config(PROGRAM, web.url("/demo"))
        steps = host.sync((bad, worse, good))
    assert [bool(step.error) for step in steps] == [True, True, False]
    assert "HTTP status 404" in steps[0].error
    assert "invalid plugin name" in steps[1].error
    assert row(host, "demo")["state"] == "running"
    details = json.loads(abnormal(host))
    assert [detail.split(" failed")[0] for detail in details] == [
        "load plugin bad", "load plugin ../worse",
    ]  # fmt: skip
    assert "HTTP status 404" in log_text(host)
    host.sync((good,))
    assert abnormal(host) == "[]"


def test_a_plugin_that_was_loaded_by_hand_is_not_on_the_list_either(
    host: PluginHost, tmp_path: Path
) -> None:
    path = shell_plugin(tmp_path, "byhand", WAIT_FOR_THE_END)
    host.load(path)
    (step,) = host.sync(())
    assert (step.plugin, step.action, step.error) == ("byhand", "remove", "")
    assert path.exists()
    assert host.tables() == {"plugin_state": ()}


def test_a_list_pushed_while_another_is_carried_out_is_dropped(host: PluginHost) -> None:
    slow = SlowServer(PROGRAM)
    with web_server({"/demo": slow.answer}) as web:
        wanted = config(PROGRAM, web.url("/demo"))
        first = threading.Thread(target=host.sync, args=((wanted,),))
        first.start()
        slow.asked.wait(10)
        with pytest.raises(PluginError, match="plugins are syncing or context has been cancled"):
            host.sync((wanted,))
        slow.released.set()
        first.join()
    assert row(host, "demo")["state"] == "running"


def test_long_names_that_begin_alike_are_not_mixed_up(host: PluginHost) -> None:
    name = "x" * 100
    with web_server({"/demo": PROGRAM, "/newer": NEWER}) as web:
        one = config(PROGRAM, web.url("/demo"), name=f"{name}1")
        two = config(NEWER, web.url("/newer"), name=f"{name}2")
        assert [step.error for step in host.sync((one, two))] == ["", ""]
        said(host, one.name, "one")
        said(host, two.name, "two")


def test_no_list_without_a_running_host() -> None:
    with running_host() as host:
        host.stop()
        with pytest.raises(PluginError, match="not running"):
            host.sync(())
        with pytest.raises(PluginError, match="not running"):
            host.plan(())
