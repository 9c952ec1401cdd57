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


LINE = b"BOX1 7 GET colour\n"


def of_kind(shown: list[dict[str, object]], kind: str) -> list[dict[str, object]]:
    """The objects of a kind, without what differs from run to run."""
    left_out = ("ts", "wasm_calls", "elapsed_us")
    return [
        {name: value for name, value in each.items() if name not in left_out}
        for each in shown
        if each["kind"] == kind
    ]


@pytest.mark.parametrize("way", ["bytes", "hex", "stdin", "stdin hex", "digits"])
def test_one_payload_however_it_is_given(tmp_path: Path, way: str) -> None:
    saved = tmp_path / "payload"
    saved.write_bytes(LINE.hex(" ").encode() if "hex" in way else LINE)
    given = {"digits": ("--hex", LINE.hex(":")), "bytes": ("--payload", str(saved))}
    arguments = given.get(way, ("--payload", str(saved) if way == "hex" else "-"))
    done = subprocess.run(
        [sys.executable, "-m", "tui.cli", "wasm", "run", DEMO_WASM, *arguments, "--src",
         "[2001:db8::1]:40000", "--dst", "[2001:db8::2]:7000", "--json"],
        input=saved.read_bytes(),
        capture_output=True,
        timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    shown = [json.loads(line) for line in done.stdout.splitlines()]
    (message,) = of_kind(shown, "l7_message")
    assert (message["protocol"], message["request"]) == ("BOX1", "GET colour")
    assert (message["src"], message["dst"]) == ("[2001:db8::1]:40000", "[2001:db8::2]:7000")
    assert [each["export"] for each in shown if each["kind"] == "wasm_result"] == [
        "check_payload",
        "parse_payload",
    ]
    assert shown[-1]["sources"]["traffic"]["seen"] == 1


@pytest.mark.parametrize(
    ("direction", "client"), [("c2s", "127.0.0.1:40000"), ("s2c", "127.0.0.1:80")]
)
def test_the_direction_of_a_payload_can_be_told(direction: str, client: str) -> None:
    digits = ("--hex", b"what is this".hex(), "--direction", direction)
    shown = objects(boxscope("wasm", "run", DEMO_WASM, *digits, "--json"))
    (message,) = of_kind(shown, "l7_message")
    assert (message["protocol"], message["src"]) == ("unknown", client)


def test_a_datagram_is_given_with_udp() -> None:
    query = "000701000001000000000000016102746500000100 01".replace(" ", "")
    shown = objects(boxscope("wasm", "run", DEMO_WASM, "--hex", query, "--l4", "udp", "--json"))
    (message,) = of_kind(shown, "l7_message")
    assert (message["protocol"], message["request"]) == ("DNS", "A a.te")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "--payload"),
        (("--pcap", CAPTURE, "--hex", "00"), 2, "run on what?"),
        (("--hex", "zz"), 2, "not hex"),
        (("--hex", "00", "--payload", "x"), 2, "two payloads"),
        (("--hex", "00", "--src", "here"), 2, "no address"),
        (("--payload", "/no/such/payload"), 1, "/no/such/payload"),
        (("--payload", "-"), 1, "empty"),
    ],
)
def test_a_payload_that_cannot_be_had_is_a_clear_error(
    arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = boxscope("wasm", "run", DEMO_WASM, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("flags", [(), ("--reassemble",), ("--order", "agent", "--cache")])
def test_traffic_and_wasm_run_make_the_same_messages_of_a_capture(flags: tuple[str, ...]) -> None:
    by_traffic = objects(
        boxscope("traffic", "--pcap", CAPTURE, "--wasm", DEMO_WASM, "--json", *flags)
    )
    by_run = objects(boxscope("wasm", "run", DEMO_WASM, "--pcap", CAPTURE, "--json", *flags))
    messages = of_kind(by_run, "l7_message")
    assert len(messages) > 20
    assert of_kind(by_traffic, "l7_message") == messages


def test_a_faithful_run_counts_the_traps_an_instance_has_borne() -> None:
    trapping = str(ROOT / "wasm" / "trap" / "trap.wasm")
    shown = objects(boxscope("wasm", "run", trapping, "--pcap", CAPTURE, "--faithful", "--json"))
    poisoned = [each["poisoned"] for each in shown if each["kind"] == "wasm_plugin"]
    traps = [each for each in shown if each.get("action") == "trap"]
    assert traps
    assert poisoned[-1] == len(traps)


def test_what_people_read_compares_a_rebuilt_plugin_with_the_old_one(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.wasm"
    plugin.write_bytes(Path(DEMO_WASM).read_bytes())
    command = [sys.executable, "-m", "tui.cli", "wasm", "run", str(plugin), "--hex", LINE.hex()]
    with subprocess.Popen(
        [*command, "--watch", "--for", "50"], stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        next(line for line in run.stdout if line.startswith("wasm_result") and "parse" in line)
        (tmp_path / "new").write_bytes((ROOT / "wasm" / "kv" / "kv.wasm").read_bytes())
        (tmp_path / "new").replace(plugin)
        next(line for line in run.stdout if "call 1 again" in line)
        difference = next(run.stdout)
        run.terminate()
        run.stdout.read()
    assert "-> " in difference


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
