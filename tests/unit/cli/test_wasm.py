"""`boxscope wasm` as a script sees it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.test_verbs import CAPTURE, DEMO_WASM, ROOT, boxscope, objects
from tests.unit.wasm import wat


def test_inspect_describes_a_plugin_an_agent_loads() -> None:
    done = boxscope("wasm", "inspect", DEMO_WASM)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("an agent loads it\n")
    assert "hooks          http_request, payload" in done.stdout
    (shown,) = objects(boxscope("wasm", "inspect", DEMO_WASM, "--json"))
    assert (shown["kind"], shown["loads"]) == ("wasm_inspection", True)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("unknown_import", "no sockets"), ("loop_start", "deadline"), ("exit_start", "proc_exit(0)")],
)
def test_inspect_fails_for_a_plugin_an_agent_refuses(name: str, reason: str) -> None:
    done = boxscope("wasm", "inspect", str(ROOT / "wasm" / "hostile" / f"{name}.wasm"))
    assert done.returncode == 1
    assert done.stdout.startswith("an agent does not load it\n")
    assert reason in done.stdout
    assert done.stderr == ""


def test_inspect_says_what_is_no_plugin() -> None:
    done = boxscope("wasm", "inspect", __file__)
    assert (done.returncode, done.stdout) == (1, "")
    assert "not a WebAssembly module" in done.stderr


def test_a_measured_run_has_the_fuel_of_every_call() -> None:
    shown = objects(boxscope("wasm", "run", DEMO_WASM, "--pcap", CAPTURE, "--measure", "--json"))
    fuel = [each["fuel"] for each in shown if each["kind"] == "wasm_result"]
    assert fuel
    assert all(isinstance(each, int) and each > 0 for each in fuel)


def test_a_plugin_of_an_old_sdk_runs_and_is_said_to_be_refused_by_agents(tmp_path: Path) -> None:
    old = '(import "deepflow" "host_read_http_result" (func (param i32 i32) (result i32)))'
    plugin = str(wat.save(tmp_path, wat.plugin(imports=old)))
    done = boxscope("wasm", "run", plugin, "--pcap", CAPTURE, "--json")
    assert done.returncode == 0
    assert any(each["kind"] == "wasm_result" for each in objects(done))
    assert "plugin: an agent would refuse it: unknown import deepflow.host_read_" in done.stderr
    done = boxscope("wasm", "run", plugin, "--pcap", CAPTURE, "--faithful", "--json")
    assert done.returncode == 1
    assert "unknown import deepflow.host_read_http_result" in done.stderr


def test_a_watched_plugin_is_run_again_when_it_is_built_again(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.wasm"
    plugin.write_bytes(Path(DEMO_WASM).read_bytes())
    command = [sys.executable, "-m", "tui.cli", "wasm", "run", str(plugin), "--pcap", CAPTURE]
    with subprocess.Popen(
        [*command, "--watch", "--for", "30", "--json"], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        shown = (json.loads(line) for line in run.stdout)
        next(each for each in shown if each["kind"] == "wasm_result")
        (tmp_path / "new").write_bytes((ROOT / "wasm" / "http" / "http.wasm").read_bytes())
        (tmp_path / "new").replace(plugin)
        again = next(each for each in shown if each.get("rerun_of"))
        run.terminate()
        last = list(shown)[-1]
    assert again["export"] in ("on_http_req", "check_payload", "parse_payload")
    assert last["kind"] == "stats"
