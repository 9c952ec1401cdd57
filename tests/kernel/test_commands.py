"""The commands on a real kernel, as a script uses them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.kernel.kernel_facts import loaded_programs, still_loaded
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

CATS = 1_000
BOXSCOPE = [sys.executable, "-m", "tui.cli"]
WITHOUT_CAPABILITIES = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"]


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a command and wait until it says that it is subscribed."""
    child = subprocess.Popen(
        [*BOXSCOPE, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with child:
        assert child.stderr is not None
        said = child.stderr.readline()
        assert "subscribed" in said, said
        yield child


def parsed(lines: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in lines.splitlines()]


def reconciles(source: dict[str, object]) -> bool:
    dropped = source["dropped"]
    assert isinstance(dropped, dict)
    return source["seen"] == source["kept"] + sum(dropped.values())  # type: ignore[operator]


def test_a_thousand_cats_are_a_thousand_events(tmp_path: Path) -> None:
    mouse = tmp_path / "mouse"
    mouse.write_text("squeak\n")
    with running("events", "-e", "syscall_exit-openat", "--json") as child:
        cats = set()
        for _ in range(CATS):
            cat = subprocess.Popen(["/bin/cat", mouse], stdout=subprocess.DEVNULL)
            cat.wait()
            cats.add(cat.pid)
        child.send_signal(signal.SIGINT)
        *events, stats = parsed(child.communicate()[0])
    assert child.returncode == 130
    opened = [event for event in events if event["attributes"]["name"] == str(mouse)]  # type: ignore[index]
    assert [event["comm"] for event in opened] == ["cat"] * CATS
    assert {event["pid"] for event in opened} == cats
    assert all(event["result"] == event["fd"] for event in opened)
    probe = stats["sources"]["probe"]  # type: ignore[index]
    assert probe["dropped"] == {}
    assert reconciles(probe)


def test_only_the_process_asked_for(tmp_path: Path) -> None:
    with running(
        "events", "-e", "syscall_exit-openat", "--pid", str(os.getpid()), "--json"
    ) as child:
        subprocess.run(["/bin/cat", "/dev/null"], check=True)
        (tmp_path / "mine").write_text("x")
        child.send_signal(signal.SIGTERM)
        *events, _ = parsed(child.communicate()[0])
    assert {event["pid"] for event in events} == {os.getpid()}
    assert str(tmp_path / "mine") in [event["attributes"]["name"] for event in events]  # type: ignore[index]


def test_patterns_presets_and_a_file_add_up_and_filters_hold(tmp_path: Path) -> None:
    file = tmp_path / "kindling.yml"
    file.write_text("receivers: {cgoreceiver: {subscribe: [{name: syscall_exit-mkdir}]}}")
    arguments = ["-e", "syscall_exit-open*", "--preset", "processes", "--subscriptions", str(file)]
    with running("events", *arguments, "--pid", str(os.getpid()), "--failed", "--json") as child:
        (tmp_path / "there").write_text("x")
        (tmp_path / "new").mkdir()
        with pytest.raises(FileExistsError):
            (tmp_path / "new").mkdir()
        with pytest.raises(FileNotFoundError):
            (tmp_path / "none").read_text()
        child.send_signal(signal.SIGTERM)
        *events, stats = parsed(child.communicate()[0])
    seen = [(event["event"], event["errno"]) for event in events]
    assert seen == [("syscall_exit-mkdir", "EEXIST"), ("syscall_exit-openat", "ENOENT")]
    assert reconciles(stats["sources"]["probe"])  # type: ignore[index]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_in_the_kernel(number: signal.Signals) -> None:
    with running("events", "-e", "syscall_exit-read") as child:
        programs = loaded_programs(child.pid)
        assert programs
        child.send_signal(number)
        child.communicate()
    wait_until(lambda: not still_loaded(programs))


def test_the_demo_lights_every_source() -> None:
    done = subprocess.run(
        [*BOXSCOPE, "demo", "--headless", "--for", "6", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = parsed(done.stdout)
    sources = lines[-1]["sources"]
    assert isinstance(sources, dict)
    assert sources.keys() >= {"agent", "discovery", "probe", "traffic", "wasm"}
    for name, source in sources.items():
        assert source["seen"] > 0, name
        assert source["dropped"] == {}, name
        assert reconciles(source), name
    assert {line["kind"] for line in lines} >= {
        "recording",
        "plugin_record",
        "plugin_state",
        "process",
        "kernel_event",
        "l7_message",
        "wasm_result",
        "wasm_plugin",
        "subscription",
    }


def test_without_rights_the_other_sources_go_on() -> None:
    done = subprocess.run(
        [*WITHOUT_CAPABILITIES, *BOXSCOPE, "demo", "--headless", "--for", "4", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    sources = parsed(done.stdout)[-1]["sources"]
    assert isinstance(sources, dict)
    assert sources["probe"]["state"] == "failed"
    assert sources["probe"]["fix"]
    for name in ("agent", "discovery", "traffic", "wasm"):
        assert sources[name]["seen"] > 0, name
        assert sources[name]["dropped"] == {}, name


@pytest.mark.parametrize(
    ("arguments", "code"), [(["events", "--for", "1"], 3), (["doctor"], 3)], ids=str
)
def test_a_missing_right_is_named_with_its_remedy(arguments: list[str], code: int) -> None:
    done = subprocess.run(
        [*WITHOUT_CAPABILITIES, *BOXSCOPE, *arguments], capture_output=True, text=True, timeout=60
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "CAP_BPF" in said
    assert "Traceback" not in said
