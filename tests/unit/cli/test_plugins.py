"""`boxscope plugins` as the author of a plugin uses it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import fixtures
from engine.agent import sdk
from tests.unit.agent.artifacts import sha256, web_server
from tests.unit.agent.support import PATIENT, WAIT_FOR_THE_END, shell_plugin, write_plugin
from tests.waiting import wait_until

COMMAND = (sys.executable, "-m", "tui.cli", "plugins")
FLOOD = str(Path(fixtures.__file__).parent / "plugins" / "flood")


def plugins(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@contextmanager
def going(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on until it is interrupted."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=30)


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    """What it prints, up to the first line that holds `wanted`."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if wanted in line:
            return seen
    raise AssertionError(f"{wanted!r} never came: {seen}")


def objects(done: subprocess.CompletedProcess[str], code: int = 0) -> list[dict[str, Any]]:
    assert done.returncode == code, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_kind(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [line for line in lines if line["kind"] == kind]


# run


def test_the_records_of_any_plugin_as_json_lines() -> None:
    arguments = ("--detail", '{"rate": 2000}', "--records", "--count", "100", "--json")
    *lines, stats = objects(plugins("run", FLOOD, "--name", "my-flood", *arguments))
    records = of_kind(lines, "plugin_record")
    assert [record["seq"] for record in records] == list(range(1, 101))
    assert [int(record["fields"]["number"]) for record in records] == list(range(1, 101))
    assert {record["plugin"] for record in records} == {"my-flood"}
    assert {record["data_type"] for record in records} == {7001}
    assert stats["sources"]["agent"]["dropped"] == {}


def test_without_a_tty_or_json_records_stand_in_columns() -> None:
    done = plugins("run", FLOOD, "--detail", '{"rate": 50}', "--records", "--count", "3")
    assert done.returncode == 0
    rows = [line for line in done.stdout.splitlines() if line.startswith("plugin_record")]
    assert len(rows) == 3
    assert "number=0000000001" in rows[0]


def test_what_became_of_each_task_is_said(tmp_path: Path) -> None:
    plugin = write_plugin(
        tmp_path,
        "picky",
        """
        client = sdk.Client()
        client.reply(client.receive_task(), True, "tea")
        client.receive_task()
        client.close()
        """,
    )
    done = plugins("run", str(plugin), "--task", "1:a", "--task", "2:b", "--json")
    assert done.returncode == 0, done.stderr
    assert 'task 1 -> succeed: "tea" in ' in done.stderr
    assert "task 2 lost: it has exited" in done.stderr


def test_strict_rejects_tasks_and_says_so(tmp_path: Path) -> None:
    plugin = shell_plugin(tmp_path, "deaf", "exec sleep 1000")
    big = "7:" + "x" * 50_000
    tasks = [argument for _ in range(6) for argument in ("--task", big)]
    done = plugins("run", str(plugin), *tasks, "--strict", "--for", "0.2", "--json")
    assert done.returncode == 1
    rejection = (
        "task 7 is rejected: plugin is processing task or context has been cancled "
        "(an agent does not tell its server; send the task again)"
    )
    # One fits the pipe and one is half written, if the first was there in time.
    assert done.stderr.count(rejection) in (4, 5)


def test_faithful_stops_as_an_agent_does(tmp_path: Path) -> None:
    plugin = write_plugin(
        tmp_path,
        "slow",
        """
        client = sdk.Client()
        while client.receive_task() is not None:
            pass
        time.sleep(1.5)
        try:
            client.send_record(7000, {"word": "goodbye"})
            client.flush()
        except BrokenPipeError:
            print("nobody listens", file=sys.stderr)
        """,
    )
    done = plugins("run", str(plugin), "--faithful", "--records", "--for", "0.5", "--json")
    lines = objects(done)
    states = of_kind(lines, "plugin_state")
    stopping = [state["kill_in_s"] for state in states if state["state"] == "stopping"]
    assert len(stopping) >= 2
    assert stopping == sorted(stopping, reverse=True)
    assert stopping[0] == pytest.approx(10, abs=0.5)
    assert (states[-1]["state"], states[-1]["exit_code"]) == ("exited", 0)
    assert states[-1]["last_stderr"] == "nobody listens"
    assert of_kind(lines, "plugin_record") == []


def test_without_faithful_a_plugins_last_words_are_heard(tmp_path: Path) -> None:
    plugin = write_plugin(
        tmp_path,
        "polite",
        """
        with sdk.Client() as client:
            while client.receive_task() is not None:
                pass
            client.send_record(7000, {"word": "goodbye"})
        """,
    )
    lines = objects(plugins("run", str(plugin), "--records", "--for", "0.5", "--json"))
    assert [one["fields"] for one in of_kind(lines, "plugin_record")] == [{"word": "goodbye"}]


def test_restart_starts_it_again(tmp_path: Path) -> None:
    plugin = shell_plugin(tmp_path, "brief", "echo out of milk >&2", "exit 3")
    with going("run", str(plugin), "--restart", "--json") as process:
        lines = lines_until(process, '"restarts":1')
    assert any("a real agent would wait for the next push" in line for line in lines)


def test_watch_starts_it_again_when_its_file_has_changed(tmp_path: Path) -> None:
    plugin = shell_plugin(tmp_path, "draft", "exit 3")
    with going("run", str(plugin), "--watch", "--json") as process:
        lines_until(process, '"state":"exited"')
        plugin.unlink()
        shell_plugin(tmp_path, "draft", "echo better >&2", WAIT_FOR_THE_END)
        lines_until(process, '"last_stderr":"better"')


def test_heartbeats_come_as_often_as_they_are_wanted(tmp_path: Path) -> None:
    plugin = write_plugin(tmp_path, "patient", PATIENT)
    arguments = ("--heartbeat", "0.5", "--records", "--count", "5", "--json")
    *lines, stats = objects(plugins("run", str(plugin), *arguments))
    records = of_kind(lines, "plugin_record")
    assert {1000, 1001, 7000} == {record["data_type"] for record in records}
    beats = [record for record in records if record["plugin"] == "elkeid-agent"]
    assert len(beats) == 4
    counters = stats["sources"]["agent"]
    assert counters["seen"] == counters["kept"] >= 5


def test_a_detail_takes_the_environment_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    plugin = shell_plugin(tmp_path, "curious", 'echo "$HOME-$DETAIL" >&2', "exit 0")
    alone = objects(plugins("run", str(plugin), "--detail", "tea", "--json"))
    both = objects(plugins("run", str(plugin), "--detail", "tea", "--inherit-env", "--json"))
    assert of_kind(alone, "plugin_state")[-1]["last_stderr"] == "-tea"
    assert of_kind(both, "plugin_state")[-1]["last_stderr"] == f"{os.environ.get('HOME', '')}-tea"


# sync


def listed(path: Path, *items: dict[str, Any]) -> str:
    fresh = path.with_suffix(".new")
    fresh.write_text(yaml.safe_dump(list(items)))
    fresh.replace(path)
    return str(path)


def item(content: bytes, url: str, name: str, version: str = "1") -> dict[str, Any]:
    return {
        "name": name, "version": version, "sha256": sha256(content), "download_urls": [url],
    }  # fmt: skip


PROGRAM = f"#!/bin/sh\n{WAIT_FOR_THE_END}\n".encode()
NEWER = f"#!/bin/sh\necho newer >&2\n{WAIT_FOR_THE_END}\n".encode()


def test_a_dry_run_tells_what_would_happen_and_does_nothing(tmp_path: Path) -> None:
    url = "http://127.0.0.1:1/x"
    old = listed(
        tmp_path / "old.yaml", item(PROGRAM, url, "same"), item(PROGRAM, url, "up"),
        item(PROGRAM, url, "gone"),
    )  # fmt: skip
    new = listed(
        tmp_path / "new.yaml", item(PROGRAM, url, "same"), item(NEWER, url, "up", "2"),
        item(PROGRAM, url, "fresh"), {"name": "elkeid-agent", "version": "9"},
    )  # fmt: skip
    run_dir = tmp_path / "run"
    arguments = ("sync", new, "--dry-run", "--from", old, "--run-dir", str(run_dir))
    done = plugins(*arguments, "--json")
    steps = objects(done)
    assert [(step["plugin"], step["action"], step["deletes"]) for step in steps] == [
        ("same", "keep", ""),
        ("up", "replace", ""),
        ("fresh", "load", ""),
        ("gone", "remove", str(run_dir / "plugin" / "gone")),
    ]
    assert "elkeid-agent is ignored" in done.stderr
    assert not run_dir.exists()
    shown = plugins(*arguments).stdout.splitlines()
    assert shown[1] == f"replace  up  1 -> 2  downloads an executable from {url}"
    assert shown[3] == f"remove   gone  1  deletes {run_dir}/plugin/gone"


def test_a_dry_run_fails_where_the_list_would(tmp_path: Path) -> None:
    list_ = listed(
        tmp_path / "list.yaml", {"name": "nowhere", "version": "1", "sha256": sha256(PROGRAM)}
    )
    done = plugins("sync", list_, "--dry-run")
    assert done.returncode == 1
    assert "FAILS: no verified executable is there" in done.stdout


def test_a_list_is_carried_out_and_again_when_it_changes(tmp_path: Path) -> None:
    path, run_dir = tmp_path / "list.yaml", tmp_path / "run"
    with web_server({"/one": PROGRAM, "/two": NEWER}) as web:
        one, two = web.url("/one"), web.url("/two")
        listed(path, item(PROGRAM, one, "up"), item(PROGRAM, one, "gone"))
        arguments = ("sync", str(path), "--watch", "--run-dir", str(run_dir), "--json")
        with going(*arguments) as process:
            lines_until(process, '"plugin":"gone","action":"load"')
            wait_until(lambda: (run_dir / "plugin" / "gone" / "gone.stderr").exists())
            path.with_suffix(".new").write_text("- {")
            path.with_suffix(".new").replace(path)
            lines_until(process, "is neither YAML nor JSON")
            listed(path, item(NEWER, two, "up", "2"), item(PROGRAM, one, "fresh"))
            lines = lines_until(process, '"plugin":"gone","action":"remove"')
            assert '"plugin":"up","action":"replace"' in lines[-3]
            assert '"plugin":"fresh","action":"load"' in lines[-2]
            assert not (run_dir / "plugin" / "gone").exists()
            lines_until(process, '"last_stderr":"newer"')
    assert sorted(entry.name for entry in (run_dir / "plugin").iterdir()) == ["fresh", "up"]


def test_a_list_that_cannot_be_carried_out_whole_ends_badly(tmp_path: Path) -> None:
    brief = b"#!/bin/sh\nexit 0\n"
    with web_server({"/brief": brief}) as web:
        items = (item(brief, web.url("/brief"), "brief"), item(brief, web.url("/no"), "none"))
        done = plugins("sync", listed(tmp_path / "list.yaml", *items), "--json")
    lines = objects(done, code=1)
    errors = {step["plugin"]: step["error"] for step in of_kind(lines, "sync_step")}
    assert errors["brief"] == ""
    assert "HTTP status 404" in str(errors["none"])
    final = {state["plugin"]: state["state"] for state in of_kind(lines, "plugin_state")}
    assert final == {"brief": "exited", "none": "failed"}
    assert lines[-1]["kind"] == "stats"


def test_a_filter_chooses_what_is_told_of_the_plugins_on_a_list(tmp_path: Path) -> None:
    brief = b"#!/bin/sh\nexit 0\n"
    with web_server({"/brief": brief}) as web:
        items = [item(brief, web.url("/brief"), name) for name in ("one", "two")]
        path = listed(tmp_path / "list.yaml", *items)
        lines = objects(plugins("sync", path, "--json", "--filter", "plugin == two"))
    assert {state["plugin"] for state in of_kind(lines, "plugin_state")} == {"two"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("sync", "/no/such/list.yaml"), "cannot read /no/such/list.yaml"),
        (("sync", FLOOD), "neither YAML nor JSON"),
        (("sync", FLOOD, "--from", FLOOD), "--from goes with --dry-run"),
        (("run", FLOOD, "--task", "x"), "as in 7011:DATA"),
        (("run", FLOOD, "--task", "²:x"), "as in 7011:DATA"),
        (("run", FLOOD, "--name", "a.b"), "invalid plugin name"),
        (("run", FLOOD, "--heartbeat", "-1"), "--heartbeat"),
    ],
    ids=lambda value: " ".join(value)[-30:] if isinstance(value, tuple) else "",
)
def test_wrong_usage_is_a_clear_error(arguments: tuple[str, ...], says: str) -> None:
    done = plugins(*arguments)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


# sdk


def test_the_sdk_can_be_copied_out(tmp_path: Path) -> None:
    assert plugins("sdk").stdout == Path(sdk.__file__).read_text(encoding="utf-8")
