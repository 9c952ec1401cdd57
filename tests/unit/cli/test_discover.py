"""`boxscope discover`: what is in force, and why a process is selected or not."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.test_verbs import boxscope, objects

CLEAN = {name: "" for name in os.environ if name.startswith(("BEYLA_", "OTEL_", "BOXSCOPE_"))} | {
    "XDG_CONFIG_HOME": "/nonexistent"
}


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def discover(*arguments: str, **environ: str) -> list[dict[str, Any]]:
    return objects(boxscope("discover", "--json", *arguments, **{**CLEAN, **environ}))


def test_without_anything_every_open_port_is_in_force() -> None:
    (policy,) = discover("--explain")
    assert (policy["kind"], policy["rule"]) == ("policy", 0)
    assert policy["criteria"] == [{"criterion": "default", "text": "any open port"}]
    assert policy["exclusions"] == policy["notes"] == []


def test_which_ports_are_in_force_is_said(tmp_path: Path) -> None:
    config = tmp_path / "beyla.yaml"
    config.write_text("open_port: 80")
    arguments = ("--beyla-config", str(config), "--explain")
    (ours,) = discover(*arguments, BEYLA_OPEN_PORT="90")
    assert ours["criteria"][0]["text"] == "open_port 90"
    assert ours["open_port_from"] == "BEYLA_OPEN_PORT"
    assert "80,90 (--faithful does)" in ours["notes"][0]
    (faithful,) = discover(*arguments, "--faithful", BEYLA_OPEN_PORT="90")
    assert faithful["criteria"][0]["text"] == "open_port 80,90"
    assert "added together" in faithful["notes"][0]
    (typed,) = discover(*arguments, "--open-port", "70", BEYLA_OPEN_PORT="90")
    assert typed["criteria"][0]["text"] == "open_port 70"
    assert typed["open_port_from"] == "--open-port"


def test_the_configuration_file_may_come_from_beylas_variable(tmp_path: Path) -> None:
    config = tmp_path / "beyla.yaml"
    config.write_text("open_port: 80")
    (policy,) = discover("--explain", BEYLA_CONFIG_PATH=str(config))
    assert policy["open_port_from"].endswith("beyla.yaml:1: open_port")


def test_ports_of_the_settings_file_count_last(tmp_path: Path) -> None:
    (tmp_path / "boxscope").mkdir()
    (tmp_path / "boxscope" / "config.toml").write_text('open_port = "60"')
    config = tmp_path / "beyla.yaml"
    config.write_text("open_port: 80")
    (policy,) = discover("--explain", XDG_CONFIG_HOME=str(tmp_path))
    assert policy["criteria"][0]["text"] == "open_port 60"
    (policy,) = discover("--explain", "--beyla-config", str(config), XDG_CONFIG_HOME=str(tmp_path))
    assert policy["criteria"][0]["text"] == "open_port 80"


def test_a_process_is_explained(port: int, tmp_path: Path) -> None:
    (decision,) = discover("--open-port", str(port), "--explain", str(os.getpid()))
    assert (decision["kind"], decision["verdict"]) == ("decision", "selected")
    assert decision["process"]["listens_on"] == [port]
    config = tmp_path / "beyla.yaml"
    config.write_text(
        f"discovery:\n  instrument: [{{open_ports: {port}}}, {{exe_path: '*/nginx'}}]\n"
        "  exclude_instrument: [{cmd_args: '*'}]\n"
    )
    (decision,) = discover("--beyla-config", str(config), "--explain", str(os.getpid()))
    assert decision["verdict"] == "excluded"
    assert decision["excluded_by"] == "discovery.exclude_instrument[0]"
    assert [each["first_failure"] for each in decision["criteria"]] == [None, "exe_path"]
    shown = boxscope("discover", "--beyla-config", str(config), "--explain", str(os.getpid()))
    assert "excluded: excluded by discovery.exclude_instrument[0]" in shown.stdout
    assert 'FAIL exe_path: expected glob "*/nginx"' in shown.stdout


def test_a_beyla_file_selects(port: int, tmp_path: Path) -> None:
    config = tmp_path / "beyla.yaml"
    config.write_text(
        f"discovery:\n  instrument:\n  - {{open_ports: {port}, exe_path: '*/python*'}}\n"
        "  - open_portz: 1\n"
    )
    done = boxscope("discover", "--beyla-config", str(config), **CLEAN)
    assert done.returncode == 2
    assert f"{config}:4: discovery.instrument[1].open_portz: unknown attribute" in done.stderr
    assert "did you mean open_ports?" in done.stderr
    config.write_text(config.read_text().replace("open_portz: 1", "open_ports: 2-1"))
    done = boxscope("discover", "--beyla-config", str(config), "--no-inherit", "--json", **CLEAN)
    row, _stats = [json.loads(line) for line in done.stdout.splitlines()]
    assert (row["pid"], row["verdict"]) == (os.getpid(), "selected")
    assert row["criterion"] == f"open_port {port} and exe */python*"
    assert row["ancestry"][0].startswith(f"{os.getppid()} ")
    assert "discovery.instrument[1] never matches: open_ports 2-1" in done.stderr


def test_people_are_shown_the_weightiest_first(port: int) -> None:
    once = boxscope("discover", "--open-port", str(port), "--no-inherit", **CLEAN).stdout
    heading, row, *_ = once.splitlines()
    assert heading.split()[:4] == ["PID", "COMM", "PORTS", "CRITERION"]
    assert row.split()[0] == str(os.getpid())
    assert heading.index("CRITERION") == row.index(f"open_port {port}")
    watch = boxscope("discover", "--watch", "--all", "--count", "1", **CLEAN).stdout
    heading, change, *_ = watch.splitlines()
    assert heading.split()[:6] == ["TS", "CHANGE", "PID", "COMM", "PORTS", "VERDICT"]
    assert change.split()[1] == "created"


def test_all_lists_what_is_not_selected_too(port: int) -> None:
    *rows, _stats = discover("--open-port", "1", "--all")
    (mine,) = [row for row in rows if row.get("pid") == os.getpid()]
    assert (mine["verdict"], mine["criterion"]) == ("not selected", None)
    assert port in [each["port"] for each in mine["ports"]]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--explain", ":http"], 2, "'http' is no port"),
        (["--explain", "no such name"], 1, "no process that may be looked into is named"),
        (["--explain", ""], 2, "no process is named"),
        (["--explain", "policy"], 1, "no process that may be looked into is named"),
        (["--explain", "4194305"], 1, "there is no process 4194305"),
        (["--beyla-config", "/no/such.yaml"], 2, "cannot read /no/such.yaml"),
        (["--exe", "["], 2, "invalid glob"),
    ],
)
def test_what_cannot_be_is_told(arguments: list[str], code: int, says: str) -> None:
    done = boxscope("discover", *arguments, **CLEAN)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [("--probe",), ("--watch", "--probe", "--explain"), ("--attach",)]
)
def test_the_probe_is_for_changes_to_come(arguments: tuple[str, ...]) -> None:
    refused = boxscope("discover", *arguments, **CLEAN)
    assert refused.returncode == 2
    assert "use it together with --watch" in refused.stderr
