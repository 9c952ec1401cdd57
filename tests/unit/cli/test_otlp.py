"""Exporting from the command line, to a real collector."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import click
import pytest

from engine.core.settings import Settings
from tests.unit.cli.test_verbs import CAPTURE, DEMO_WASM, boxscope, objects, source
from tests.unit.otlp.receiver import Receiver, attributes, started
from tui.cli.console import command as console

TRAFFIC = ("traffic", "--pcap", CAPTURE, "--wasm", DEMO_WASM, "--json")


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = started(request.param)
    yield made
    made.stop()


@pytest.mark.parametrize("receiver", ["http", "grpc"], indirect=True)
def test_what_is_printed_has_arrived(receiver: Receiver) -> None:
    secret = ("--otlp-header", "authorization=Bearer hunter2")
    to = ("--otlp", receiver.url, "--otlp-protocol", receiver.protocol, *secret)
    done = boxscope(*TRAFFIC, *to)
    lines = objects(done)
    printed = [line["request"] for line in lines if line["kind"] == "l7_message"]
    told = [attributes(item).get("boxscope.request", "") for item in receiver.items["traces"]]
    assert told == printed
    names = [item.event_name for item in receiver.items["logs"]]
    results = [line for line in lines if line["kind"] == "wasm_result"]
    assert names.count("boxscope.wasm_result") == len(results)
    counted = source(lines[-1], "otlp")
    assert counted["dropped"] == {}
    assert counted["kept"] == counted["seen"] == sum(map(len, receiver.items.values()))
    assert receiver.metrics["boxscope.source.seen"].sum.is_monotonic
    assert receiver.metadata[0]["authorization"] == "Bearer hunter2"
    assert "hunter2" not in done.stdout + done.stderr


@pytest.mark.parametrize("receiver", ["http"], indirect=True)
def test_what_is_filtered_and_left_out_is_not_sent(receiver: Receiver, tmp_path: Path) -> None:
    boxscope(
        *("record", str(tmp_path / "r.db"), "--pcap", CAPTURE, "--otlp", receiver.url),
        *("--redact", "payloads", "--filter", "protocol == DNS or status == 200"),
    )
    spans = [attributes(item) for item in receiver.items["traces"]]
    assert spans
    assert all(span["boxscope.request"] == "(left out)" for span in spans)
    assert {span.get("boxscope.status") for span in spans} == {"200"}


def test_a_collector_that_is_not_there_is_said_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BOXSCOPE_OTLP_FLUSH_S", "0.2")
    done = boxscope(*TRAFFIC, "--otlp", "http://127.0.0.1:1")
    counted = source(objects(done)[-1], "otlp")
    assert done.returncode == 0
    assert counted["kept"] == 0
    assert counted["dropped"] == {"not_sent": counted["seen"]}
    assert counted["state"] == "degraded"
    assert "http://127.0.0.1:1 does not take" in str(counted["reason"])


@pytest.mark.parametrize("receiver", ["http"], indirect=True)
def test_nothing_but_boxscope_writes_on_the_terminal(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOXSCOPE_OTLP_FLUSH_S", "0.5")
    address = receiver.url.replace("http", "https")
    done = boxscope(*TRAFFIC, "--otlp", address, "--otlp-protocol", "grpc")
    assert source(objects(done)[-1], "otlp")["kept"] == 0
    assert all(line.startswith("boxscope: ") for line in done.stderr.splitlines())


def test_an_address_that_means_nothing_is_refused_at_once() -> None:
    done = boxscope(*TRAFFIC, "--otlp", "localhost:4318")
    assert done.returncode == 2
    assert "begin it with http://" in done.stderr


def test_the_settings_print_no_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOXSCOPE_OTLP_HEADERS", "authorization=hunter2")
    for arguments in (("config",), ("config", "--json")):
        done = boxscope(*arguments)
        assert done.returncode == 0
        assert "hunter2" not in done.stdout
        assert "****" in done.stdout


def test_the_protocols_of_the_flag_are_those_of_the_setting() -> None:
    (flag,) = [each for each in console.params if each.name == "protocol"]
    declared = Settings.model_fields["otlp_protocol"]
    assert isinstance(flag.type, click.Choice)
    assert tuple(flag.type.choices) == get_args(declared.annotation)
    assert isinstance(flag, click.Option)
    assert f"Default: {declared.default}" in str(flag.help)
