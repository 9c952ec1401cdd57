"""`boxscope wasm` as a script sees it."""

from __future__ import annotations

import pytest

from tests.unit.cli.test_verbs import CAPTURE, DEMO_WASM, ROOT, boxscope, objects


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
