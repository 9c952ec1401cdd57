"""The commands on a real kernel, as a script uses them."""

from __future__ import annotations

import json
import mmap
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.probe.catalogue import EVENTS
from tests.kernel.kernel_facts import loaded_programs, still_loaded
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

CATS = 1_000
PAGES = 300
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


def parsed(lines: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines.splitlines()]


def reconciles(source: dict[str, Any]) -> bool:
    dropped = source["dropped"]
    assert isinstance(dropped, dict)
    return bool(source["seen"] == source["kept"] + sum(dropped.values()))


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
        *events, state, stats = parsed(child.communicate()[0])
    assert child.returncode == 130
    assert (state["kind"], stats["kind"]) == ("probe_state", "stats")
    assert state["produced"] == state["read"] == len(events)
    opened = [event for event in events if event["attributes"]["name"] == str(mouse)]
    assert [event["comm"] for event in opened] == ["cat"] * CATS
    assert {event["pid"] for event in opened} == cats
    assert all(event["result"] == event["fd"] for event in opened)
    probe = stats["sources"]["probe"]
    assert probe["dropped"] == {}
    assert reconciles(probe)


def test_only_the_process_asked_for(tmp_path: Path) -> None:
    with running(
        "events", "-e", "syscall_exit-openat", "--pid", str(os.getpid()), "--json"
    ) as child:
        subprocess.run(["/bin/cat", "/dev/null"], check=True)
        (tmp_path / "mine").write_text("x")
        child.send_signal(signal.SIGTERM)
        *events, _, _ = parsed(child.communicate()[0])
    assert {event["pid"] for event in events} == {os.getpid()}
    assert str(tmp_path / "mine") in [event["attributes"]["name"] for event in events]


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
        *events, state, stats = parsed(child.communicate()[0])
    assert state["unfollowed"] == 0
    seen = [(event["event"], event["errno"]) for event in events]
    assert seen == [("syscall_exit-mkdir", "EEXIST"), ("syscall_exit-openat", "ENOENT")]
    assert reconciles(stats["sources"]["probe"])


def test_what_can_be_set_is_in_force_and_page_faults_are_told_at_the_end() -> None:
    arguments = ["-e", "tracepoint-page_fault_user", "-e", "syscall_exit-write"]
    settings = ["--snaplen", "3", "--fault-interval", "7"]
    with running("events", *arguments, *settings, "--json", "--pid", str(os.getpid())) as child:
        Path("/dev/null").write_bytes(b"seven\n")
        memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(PAGES):
            memory[page * mmap.PAGESIZE] = 1
        memory.close()
        child.send_signal(signal.SIGTERM)
        *events, state, _ = parsed(child.communicate()[0])
    shown = [event["attributes"] for event in events if event["event"] == "syscall_exit-write"]
    assert "sev" in [attributes["data"] for attributes in shown]
    told = [event["attributes"] for event in events if event["name"] == "page_fault"]
    assert {attributes["every"] for attributes in told} == {7}
    (faults,) = state["page_faults"]
    assert faults["pid"] == os.getpid()
    assert faults["count"] >= faults["write absent"] >= PAGES
    assert abs(len(told) - faults["count"] / 7) < 2


def test_descriptors_are_not_described_where_that_is_switched_off() -> None:
    environment = {**os.environ, "BOXSCOPE_DESCRIBE_FDS": "false"}
    command = [*BOXSCOPE, "events", "-e", "syscall_exit-read:file", "--count", "1", "--json"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        assert "subscribed" in child.stderr.readline()
        while child.poll() is None:
            Path("/proc/self/comm").read_text()
        assert child.stdout is not None
        event = json.loads(child.stdout.readline())
    assert (event["fd_type"], event["fd_name"]) == ("file", None)


def test_where_nothing_can_be_delivered_that_is_said_and_the_run_fails() -> None:
    absent = next(event for event in EVENTS if event.absent)
    done = subprocess.run(
        [*BOXSCOPE, "events", "-e", absent.name], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1, done.stderr
    assert absent.absent in done.stderr
    assert done.stdout == ""


@pytest.mark.fault("kill -9 of the engine")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_stays_in_the_kernel(number: signal.Signals) -> None:
    with running("events", "-e", "syscall_exit-read") as child:
        programs = loaded_programs(child.pid)
        assert programs
        child.send_signal(number)
        child.communicate()
    wait_until(lambda: not still_loaded(programs))


ALIVE = {
    "recording",
    "plugin_record",
    "plugin_state",
    "process",
    "kernel_event",
    "l7_message",
    "wasm_result",
    "wasm_plugin",
    "subscription",
    ("HTTP", "live"),
    ("DNS", "live"),
    ("BOX1", "live"),
}
"""What the demo shows: kinds of records, and what its services say with where that came from."""


def test_the_demo_lights_every_source_and_listens_to_its_own_services() -> None:
    with subprocess.Popen(
        [*BOXSCOPE, "demo", "--headless", "--for", "90", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        missing = set(ALIVE)
        for text in child.stdout:
            line = json.loads(text)
            missing -= {line["kind"], (line.get("protocol"), line.get("source"))}
            if not missing:
                break
        child.send_signal(signal.SIGINT)
        lines = parsed(child.stdout.read())
    assert missing == set()
    assert child.returncode == 130
    sources = lines[-1]["sources"]
    assert isinstance(sources, dict)
    assert sources.keys() >= {"agent", "discovery", "probe", "traffic", "wasm"}
    for name, source in sources.items():
        assert source["seen"] > 0, name
        assert source["dropped"] == {}, name
        assert reconciles(source), name


def test_without_rights_the_other_sources_go_on() -> None:
    done = subprocess.run(
        [*WITHOUT_CAPABILITIES, *BOXSCOPE, "demo", "--headless", "--for", "4", "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    lines = parsed(done.stdout)
    sources = lines[-1]["sources"]
    assert isinstance(sources, dict)
    assert sources["probe"]["state"] == "failed"
    assert sources["traffic"]["state"] == "degraded"
    assert "no traffic of processes can be captured" in sources["traffic"]["reason"]
    played = {line["source"] for line in lines if line["kind"] == "l7_message"}
    assert played == {"pcap:http.pcap"}
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
