"""Decisions about real processes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import ProcessGone
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.explain import explain
from engine.discovery.policy import policy_of
from engine.discovery.process_sockets import local_ports
from tests.unit.discovery.listener import Listener
from tests.unit.discovery.yaml_policy import policy_from


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as running:
        yield running


def test_ports_are_told_apart_from_the_ends_of_connections(listener: Listener) -> None:
    tcp, udp = listener.open(), listener.open("udp4")
    with socket.create_connection(("127.0.0.1", tcp)) as client:
        ephemeral = client.getsockname()[1]
        assert ephemeral in local_ports(os.getpid()).connections
        assert ephemeral not in local_ports(os.getpid()).listening
    found = local_ports(listener.pid)
    assert (found.listening, found.udp) == (tuple(sorted((tcp, udp))), (udp,))


@pytest.mark.parametrize("kind", ["tcp4", "dual", "v6only"])
def test_every_family_is_seen(listener: Listener, kind: str) -> None:
    assert local_ports(listener.pid).listening == ()
    port = listener.open(kind)
    assert local_ports(listener.pid).listening == (port,)


def test_a_process_that_listens(listener: Listener) -> None:
    port = listener.open()
    found = explain(listener.pid, policy_of(DiscoveryConfig().with_selectors(open_port=str(port))))
    assert found.decision.verdict == "selected"
    assert found.decision.reason == f"open_port {port}"
    shown = json.loads(json.dumps(found.as_json()))
    process = shown["process"]
    assert process["pid"] == listener.pid
    assert process["listens_on"] == [port]
    assert process["language"] == "python"
    assert process["ancestry"][0].startswith(f"{os.getpid()} ")
    assert process["exe"] == os.path.realpath(sys.executable)
    lines = list(found.lines())
    assert f"selected: open_port {port}" in lines
    assert any(line.startswith("ancestry") for line in lines)


def test_a_process_that_is_not_wanted_says_what_stood_in_the_way(listener: Listener) -> None:
    port = listener.open()
    text = f"discovery: {{instrument: [{{open_ports: {port + 1}}}, {{exe_path: '*/nginx'}}]}}"
    decision = explain(listener.pid, policy_from(text)).decision
    assert decision.verdict == "not selected"
    assert f"open_ports is {port}, not {port + 1}" in decision.reason
    assert 'discovery.instrument[1]: exe_path is "' in decision.reason


def test_a_child_inherits_from_a_parent_without_being_told_of_it(listener: Listener) -> None:
    port = listener.open()
    policy = policy_from(f"open_port: {port}")
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        mine = policy_from(f"open_port: {server.getsockname()[1]}")
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            try:
                assert child.stdout is not None
                child.stdout.readline()
                decision = explain(child.pid, mine).decision
                assert (decision.verdict, decision.inherited_from) == ("inherited", os.getpid())
                assert not explain(child.pid, policy).decision.is_selected
            finally:
                child.kill()


def test_its_environment_names_it(listener: Listener) -> None:
    port = listener.open()
    command = [sys.executable, "-c", "print(flush=True); input()"]
    environ = {**os.environ, "OTEL_SERVICE_NAME": "shop"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ
    ) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            policy = policy_from(f"target_pids: {child.pid}\nopen_port: {port}")
            decision = explain(child.pid, policy).decision
            assert decision.service is not None
            assert decision.service.name == "shop"
            assert "open_port" in "".join(decision.notes)
        finally:
            child.kill()


def test_the_first_process_and_kernel_threads_are_explained() -> None:
    policy = policy_of(load_config(None, {"BEYLA_OPEN_PORT": "80"}))
    for pid in (1, 2):
        if Path(f"/proc/{pid}").exists():
            assert explain(pid, policy).decision.reason


def test_a_process_that_has_ended_is_gone() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with pytest.raises(ProcessGone, match=f"there is no process {child.pid}"):
        explain(child.pid, policy_of(DiscoveryConfig()))


def test_a_thread_is_no_process_and_its_process_is_named() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(ProcessGone, match=f"is a thread of process {os.getpid()}") as caught:
            explain(thread.native_id or 0, policy_of(DiscoveryConfig()))
        assert caught.value.fix == f"explain {os.getpid()} instead"
    finally:
        done.set()
        thread.join()


def test_the_age_gate_is_for_processes_without_ports(listener: Listener) -> None:
    policy = policy_from("discovery: {min_process_age: 1h, instrument: [{exe_path: '*'}]}")
    portless = explain(listener.pid, policy)
    gate = portless.as_json()["age_gate"]
    assert isinstance(gate, dict)
    assert gate["min_process_age_s"] == 3600
    assert 0 < portless.to_wait_s <= 3600
    assert any(
        "a process without ports is told of from 3600 s on" in each for each in portless.lines()
    )
    listener.open()
    assert explain(listener.pid, policy).to_wait_s == 0


def test_where_it_lives_is_told(listener: Listener) -> None:
    listener.open("udp4")
    process = explain(listener.pid, policy_of(DiscoveryConfig())).as_json()["process"]
    assert isinstance(process, dict)
    assert process["netns"] == os.stat(f"/proc/{listener.pid}/ns/net").st_ino
    assert process["of_these_udp"] == process["listens_on"] != ()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make a network namespace")
def test_a_process_in_another_network_namespace_shows_its_own_ports() -> None:
    program = (
        "import os,socket; os.unshare(0x40000000)"
        if hasattr(os, "unshare")
        else ("import ctypes,socket; assert ctypes.CDLL(None).unshare(0x40000000) == 0")
    )
    program += (
        "; s=socket.socket(); s.bind(('0.0.0.0', 8099)); s.listen(); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            text = "discovery: {instrument: [{open_ports: 8099, containers_only: true}]}"
            decision = explain(child.pid, policy_from(text)).decision
            assert decision.verdict == "selected"
            assert not explain(os.getpid(), policy_from(text)).decision.is_selected
        finally:
            child.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give it up")
def test_what_may_not_be_read_is_told_and_not_taken_for_absent() -> None:
    module = "tests.unit.discovery.unprivileged_explain"
    done = subprocess.run(
        [sys.executable, "-m", module, str(os.getpid())], capture_output=True, check=True
    )
    shown = json.loads(done.stdout)
    conditions = shown["criteria"][0]["conditions"]
    assert [(each["condition"], each["actual"], each["result"]) for each in conditions] == [
        ("exe_path", "hidden", False),
        ("open_ports", "hidden", False),
    ]
    assert all("run as root" in each["note"] for each in conditions)
    assert shown["process"]["ports_hidden"] is True
    assert shown["process"]["exe_hidden"] is True


def test_a_zombie_is_explained() -> None:
    policy = policy_from("open_port: 80")
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], dict(os.environ))
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        found = explain(pid, policy)
        assert (found.facts.exe, found.facts.argv) == (None, ())
        assert found.decision.verdict in ("not selected", "inherited")
    finally:
        os.waitpid(pid, 0)


def test_names_and_arguments_with_escapes_and_of_great_length_are_harmless(tmp_path: Path) -> None:
    program = "import sys; print(flush=True); input()"
    name = tmp_path / "\x1b[2Jcomm"
    name.symlink_to(sys.executable)
    command = [str(name), "-c", program, "\x1b]0;x\x07", "y" * 100_000]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            found = explain(child.pid, policy_from("discovery: {instrument: [{cmd_args: '*'}]}"))
            assert found.decision.is_selected
            assert not any("\x1b" in line or "\x07" in line for line in found.lines())
            assert "\\u001b" not in json.dumps(found.as_json())
        finally:
            child.kill()
