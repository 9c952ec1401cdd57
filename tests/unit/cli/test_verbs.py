"""The verbs as a script sees them: output, exit code, and what is said when it goes wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import fixtures
from engine import __version__

ROOT = Path(fixtures.__file__).parent
CAPTURE = str(ROOT / "captures" / "http.pcap")
DEMO_WASM = str(ROOT / "wasm" / "demo" / "demo.wasm")


def boxscope(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "tui.cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environ},
    )


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def source(stats: dict[str, Any], name: str) -> dict[str, Any]:
    assert stats["kind"] == "stats"
    counters = stats["sources"][name]
    assert counters["seen"] == counters["kept"] + sum(counters["dropped"].values())
    return dict(counters)


def test_the_shell_is_told_what_completes_a_word_and_that_nothing_can() -> None:
    asked = {"COMP_WORDS": "boxscope disc", "COMP_CWORD": "1"}
    done = boxscope(_BOXSCOPE_COMPLETE="bash_complete", **asked)
    assert (done.returncode, done.stdout) == (0, "plain,discover\n")
    assert boxscope(_BOXSCOPE_COMPLETE="no_shell_complete", **asked).returncode == 1


def test_version() -> None:
    assert boxscope("--version").stdout.strip() == f"boxscope, version {__version__}"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--open-port", "1"],
        ["--workspace", "w.toml", "--open-port", "1"],
        ["--workspace=w.toml", "--beyla-config", "x"],
        ["console"],
        ["demo"],
        ["replay", "x.jsonl"],
    ],
    ids=str,
)
def test_the_console_is_refused_without_a_terminal(arguments: list[str]) -> None:
    done = boxscope(*arguments)
    assert done.returncode == (2 if arguments != ["replay", "x.jsonl"] else 1)
    assert "Traceback" not in done.stderr
    if arguments != ["replay", "x.jsonl"]:
        assert "needs a terminal" in done.stderr
        assert "boxscope demo --headless" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["events", "-e", "syscall_exit-opnat"], 2, "syscall_exit-openat"),
        (["events", "-e", "syscall_exit-openat:fish"], 2, "file"),
        (["discover", "--open-port", "80-"], 2, "invalid int enum"),
        (["discover", "--for", "soon"], 2, "--for"),
        (["events", "--for", "nan"], 2, "--for"),
        (["plugins", "run", "/no/such/plugin"], 1, "/no/such/plugin"),
        (["plugins", "run", "/bin/true", "--task", "x"], 2, "as in 7011:DATA"),
        (["traffic"], 2, "--open-port"),
        (["traffic", "--pid", "1", "--pcap", CAPTURE], 2, "--open-port"),
        (["traffic", "--pcap", "/no/such.pcap"], 1, "/no/such.pcap"),
        (["traffic", "--pid", "4194303"], 1, "4194303"),
        (["wasm", "run", "/no/such.wasm", "--pcap", CAPTURE], 1, "/no/such.wasm"),
        (["wasm", "run", DEMO_WASM, "--pcap", "/no/such.pcap"], 1, "/no/such.pcap"),
        (["wasm", "run", CAPTURE, "--pcap", CAPTURE], 1, "http.pcap"),
        (["wasm", "run", DEMO_WASM, "--pcap", DEMO_WASM], 1, "demo.wasm"),
    ],
    ids=lambda value: " ".join(value)[-40:] if isinstance(value, list) else "",
)
def test_bad_input_is_a_clear_error(arguments: list[str], code: int, says: str) -> None:
    done = boxscope(*arguments)
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_discover_finds_a_port_by_the_variable_beyla_uses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        *rows, stats = objects(
            boxscope("discover", "--once", "--json", BEYLA_OPEN_PORT=f"1,{port}")
        )
        assert [(row["pid"], row["ports"]) for row in rows] == [
            (os.getpid(), [{"port": port, "proto": "tcp", "address": "127.0.0.1"}])
        ]
        assert source(stats, "discovery")["dropped"] == {}


def test_a_plugins_records_and_the_reply_to_a_task() -> None:
    flood = str(ROOT / "plugins" / "flood")
    arguments = ("--task", '7011:{"rate": 500}', "--records", "--count", "300", "--json")
    lines = objects(boxscope("plugins", "run", flood, *arguments))
    records = [line for line in lines if line["kind"] == "plugin_record"]
    replies = [record for record in records if record["data_type"] == 5100]
    assert len(records) == 300
    assert [reply["fields"]["status"] for reply in replies] == ["succeed"]
    assert source(lines[-1], "agent")["dropped"] == {}


def test_a_plugin_that_ends_badly_ends_the_command_badly(tmp_path: Path) -> None:
    plugin = tmp_path / "sour"
    plugin.write_text("#!/bin/sh\necho out of milk >&2\nexit 3\n")
    plugin.chmod(0o700)
    done = boxscope("plugins", "run", str(plugin), "--json")
    assert done.returncode == 1
    assert "plugin sour ended with exit status 3; out of milk" in done.stderr
    states = [json.loads(line).get("state") for line in done.stdout.splitlines()]
    assert states[-2] == "exited"


def test_a_capture_through_the_demo_plugin() -> None:
    lines = objects(boxscope("wasm", "run", DEMO_WASM, "--pcap", CAPTURE, "--json"))
    messages = [line for line in lines if line["kind"] == "l7_message"]
    results = [line for line in lines if line["kind"] == "wasm_result"]
    assert {"HTTP", "BOX1"} == {str(message["protocol"]) for message in messages}
    assert {"on_http_req", "parse_payload"} <= {result["export"] for result in results}
    assert source(lines[-1], "traffic")["dropped"] == {}
    assert source(lines[-1], "wasm")["seen"] == len(results)


@pytest.mark.parametrize("flags", [(), ("--reassemble",), ("--order", "agent")])
def test_a_capture_without_a_plugin(flags: tuple[str, ...]) -> None:
    lines = objects(boxscope("traffic", "--pcap", CAPTURE, "--json", *flags))
    messages = [line for line in lines if line["kind"] == "l7_message"]
    assert Counter(str(message["protocol"]) for message in messages) == {"HTTP": 17, "unknown": 1}
    assert all(message["decision"] for message in messages)
    assert {message["session"] for message in messages} == {"answered", ""}
    assert source(lines[-1], "traffic")["dropped"] == {}


def test_settings_show_where_they_come_from(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path), "BOXSCOPE_HISTORY": "500"}
    settings = {line["name"]: line for line in objects(boxscope("config", "--json", **environ))}
    assert settings["history"]["value"] == 500
    assert settings["history"]["origin"] == "environment"
    assert settings["open_port"]["origin"] in ("default", "BEYLA_OPEN_PORT")


def test_doctor_names_a_fix_for_whatever_is_missing() -> None:
    done = boxscope("doctor", "--json")
    needs = [json.loads(line) for line in done.stdout.splitlines()]
    missing = [need for need in needs if not need["found"]]
    assert done.returncode == (3 if missing else 0)
    assert all(need["fix"] and need["costs"] for need in missing)
    assert "Python 3.11 or newer" in [need["name"] for need in needs]


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_change_no_exit_code(closed: str) -> None:
    command = f'"$0" -m tui.cli config --json {closed}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_an_encoding_has_no_letters_for_is_spelt_as_json_spells_it() -> None:
    read = ["traffic", "--pcap", CAPTURE, "--json"]
    plain = boxscope(*read, PYTHONIOENCODING="ascii")
    assert plain.stdout.isascii()
    assert r"\u240a" in plain.stdout  # the symbol that stands for the end of a line
    assert [_message(shown) for shown in objects(plain)] == [
        _message(shown) for shown in objects(boxscope(*read, PYTHONIOENCODING="utf-8"))
    ]


def _message(shown: dict[str, object]) -> dict[str, object]:
    """A message without what differs from run to run."""
    if shown["kind"] != "l7_message":
        return {"kind": shown["kind"]}
    return {name: value for name, value in shown.items() if name != "seq"}


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("arguments", [["--help"], ["config", "--json"]], ids=str)
def test_a_full_disk_is_no_traceback(arguments: list[str], unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tui.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    said = "boxscope: cannot write the output: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize("unbuffered", ["1", ""])
@pytest.mark.parametrize("arguments", [["--help"], ["config", "--json"]], ids=str)
def test_a_reader_that_has_gone_is_no_failure(arguments: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tui.cli", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("limit", "arguments"),
    [(28, "demo --headless --for 0.5"), (16, "events -e syscall_exit-close --count 1")],
    ids=str,
)
def test_too_few_open_files_are_no_traceback(limit: int, arguments: str) -> None:
    command = f'ulimit -n {limit}; exec "$0" -m tui.cli {arguments}'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable], capture_output=True, text=True, timeout=60
    )
    assert done.returncode in (0, 1, 3)
    assert "Traceback" not in done.stderr
    if arguments.startswith("events") and os.geteuid() == 0:  # it waits for the probe
        assert "ulimit -n" in done.stderr
