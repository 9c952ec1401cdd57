"""Heartbeats have the agent's names and formats, and come as records."""

from __future__ import annotations

import json
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.agent import box
from engine.agent.box import CpuUsage, box_facts, box_state
from engine.agent.heartbeat import AgentState
from tests.unit.agent.support import (
    PATIENT,
    records,
    row,
    running_host,
    shell_plugin,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until

DECIMAL = re.compile(r"-?\d+\.\d{8}")
RATES = {"rx_tps", "tx_tps", "rx_speed", "tx_speed"}
RESOURCES = {"pid", "cpu", "rss", "read_speed", "write_speed", "nfd", "start_time"}

STEADY = """
with sdk.Client() as client:
    for _ in range(50):
        client.send_record(7000, {"word": "hello"})
    client.flush()
    with open("state", "wb") as file:
        file.write(bytes(1234))
    while client.receive_task() is not None:
        pass
"""


def beats(found: list[dict[str, Any]], data_type: int, name: str = "") -> list[dict[str, str]]:
    """The content of the heartbeats among records."""
    return [
        one["fields"]
        for one in found
        if one["plugin"] == "elkeid-agent"
        and one["data_type"] == data_type
        and one["fields"].get("name", "") == name
    ]


def test_running_plugins_and_the_agent_beat_and_the_counters_still_add_up(tmp_path: Path) -> None:
    with running_host(heartbeat_s=0.6) as host:
        host.load(write_plugin(tmp_path, "steady", STEADY))
        host.load(shell_plugin(tmp_path, "brief", "exit 0"))
        wait_for_state(host, "brief", "exited")
        wait_until(lambda: len(beats(records(host), 1001, "steady")) >= 3)
        found = records(host)
        assert beats(found, 1001, "brief") == []
        first, *_, last = beats(found, 1001, "steady")
        assert set(first) == {"name", "pversion", "du"} | RATES | RESOURCES
        assert all(DECIMAL.fullmatch(last[name]) for name in RATES | {"cpu", "read_speed"})
        shown = row(host, "steady")
        assert (last["pid"], last["nfd"]) == (str(shown["pid"]), str(shown["fds"]))
        assert abs(int(last["start_time"]) - shown["started"]) <= 1
        assert int(last["rss"]) == pytest.approx(shown["rss"], rel=0.2)
        assert int(last["du"]) == 1_234
        assert first["cpu"] == "0.00000000"
        # All fifty records came before one heartbeat; their rate is over the time before it.
        rates = [float(one["tx_tps"]) for one in beats(found, 1001, "steady")]
        assert sum(rate > 0 for rate in rates) == 1
        assert float(last["rx_tps"]) == 0
        heartbeats = [one for one in found if one["plugin"] == "elkeid-agent"]
        assert {one["pid"] for one in heartbeats} == {os.getpid()}
        assert all(one["faults"] == () for one in heartbeats)
        assert (shown["tx_count"], shown["dropped"]) == (50, 0)
        wait_until(lambda: host.counters().kept == len(records(host)))


def test_no_heartbeat_comes_before_its_time_or_when_there_are_none(tmp_path: Path) -> None:
    for seconds in (0.0, 3600.0):
        with running_host(heartbeat_s=seconds) as host:
            host.load(write_plugin(tmp_path, "patient", PATIENT))
            wait_for_records(host, "patient", 1)
            wait_until(lambda: row(host, "patient")["disk"] is not None)
            assert len(records(host)) == 1


def test_the_agents_heartbeat_is_about_this_box_and_this_process() -> None:
    with running_host(heartbeat_s=0.3) as host:
        wait_until(lambda: len(beats(records(host), 1000)) >= 2)
        beat = beats(records(host), 1000)[-1]
    assert beat["pid"] == str(os.getpid())
    assert beat["kernel_version"] == platform.release()
    assert beat["nproc"] == str(psutil.cpu_count())
    assert (beat["state"], beat["state_detail"]) == ("running", "[]")
    assert int(beat["total_mem"]) == psutil.virtual_memory().total
    assert int(beat["boot_time"]) == pytest.approx(psutil.boot_time(), abs=2)
    assert abs(int(beat["start_time"]) - psutil.Process().create_time()) <= 1
    assert 0 < float(beat["mem_usage"]) < 1
    assert 0 <= float(beat["cpu_usage"]) <= 1
    assert set(beat) >= {"load_1", "load_5", "load_15", "running_procs", "total_procs", "arch"}
    # What only an agent with a server has.
    assert not set(beat) & {"idc", "region", "net_mode", "ngr", "tx_tps", "rx_tps", "du"}


def test_the_agent_is_abnormal_until_the_next_push(tmp_path: Path) -> None:
    with running_host(heartbeat_s=0.3) as host:
        host.load(shell_plugin(tmp_path, "brief", "kill -SEGV $$"))
        wait_for_state(host, "brief", "exited")
        wait_until(lambda: beats(records(host), 1000)[-1:])
        beat = beats(records(host), 1000)[-1]
        assert beat["state"] == "abnormal"
        assert json.loads(beat["state_detail"]) == ["plugin brief exited with code -1 unexpectedly"]
        host.sync(())
        wait_until(lambda: beats(records(host), 1000)[-1]["state"] == "running")


def test_a_plugin_that_is_asked_to_go_is_nothing_abnormal(tmp_path: Path) -> None:
    with running_host() as host:
        host.load(write_plugin(tmp_path, "patient", PATIENT))
        wait_for_records(host, "patient", 1)
        host.unload("patient")
        wait_until(lambda: not row(host, "patient"))
        assert host._roster.agent_state.fields()["state"] == "running"


def test_the_state_names_everything_that_went_wrong() -> None:
    state = AgentState()
    assert state.fields() == {"state": "running", "state_detail": "[]"}
    state.abnormal("one")
    state.abnormal("zwei über drei")
    assert state.fields() == {"state": "abnormal", "state_detail": '["one", "zwei über drei"]'}
    state.reset()
    assert state.fields()["state"] == "running"


# Facts about the box.


def test_facts_that_cannot_be_read_are_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(box, "Path", lambda *parts: tmp_path.joinpath("none", parts[-1][1:]))
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path / "none"))
    monkeypatch.setattr(box, "boot_time", lambda: int((tmp_path / "none").read_text()))
    facts, state = box_facts(), box_state()
    assert facts["kernel_version"] == platform.release()
    assert not {"cpu_name", "boot_time"} & facts.keys()
    assert state == {}


def test_the_memory_in_use_is_neither_free_nor_a_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = {"MemTotal": 100, "MemFree": 40, "MemAvailable": 50, "Buffers": 5, "Cached": 4,
             "SReclaimable": 1, "Active": 0, "Inactive": 0, "Shmem": 0, "Slab": 1}  # fmt: skip
    (tmp_path / "meminfo").write_text("".join(f"{k}: {v} kB\n" for k, v in lines.items()))
    monkeypatch.setattr(psutil, "PROCFS_PATH", str(tmp_path))
    state = box_state()
    assert (state["total_mem"], state["mem_usage"]) == ("102400", "0.50000000")


def test_processor_use_is_a_share_of_the_time_that_passed() -> None:
    usage = CpuUsage()
    ends = time.process_time() + 0.2
    while time.process_time() < ends:
        pass
    assert 0 < float(usage.sample()) <= 1


@pytest.mark.parametrize(
    ("name", "content", "field", "value"),
    [
        ("/etc/resolv.conf", "search x\nnameserver 10.0.0.1\nnameserver ::1\n", "dns",
         "10.0.0.1,::1"),
        ("/proc/net/route", "Iface Destination Gateway Flags\neth0 00000000 0102A8C0 0003 0\n",
         "gateway", "192.168.2.1"),
        ("/proc/net/route", "Iface Destination Gateway Flags\neth0 0002A8C0 00000000 0001 0\n",
         "gateway", None),
        ("/proc/loadavg", "0.10 0.20 0.30 2/345 6789\n", "total_procs", "345"),
    ],
)  # fmt: skip
def test_the_state_of_the_box_is_read_from_the_system(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: str,
    field: str,
    value: str | None,
) -> None:
    replaced = tmp_path / "file"
    replaced.write_text(content)
    monkeypatch.setattr(box, "Path", lambda path: replaced if path == name else Path(path))
    assert box_state().get(field) == value
