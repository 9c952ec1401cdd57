"""`boxscope events`, as far as it goes without a kernel that takes programs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.core.errors import FailedError, UsageError
from engine.core.kinds import SUBSCRIPTION
from engine.core.records import new_record
from engine.probe.availability import Availability
from engine.probe.catalogue import CELLS, EVENTS, resolve
from tests.ui.fake_engine import FakeEngine
from tests.unit.cli.test_verbs import boxscope, objects
from tui.cli.events import announcement, asked_subscriptions
from tui.cli.events_list import list_events


def test_the_list_tells_everything_about_every_event() -> None:
    listed = objects(boxscope("events", "--list", "--json"))
    assert [event["name"] for event in listed] == [event.name for event in EVENTS]
    by_name = {event["name"]: event for event in listed}
    opened = by_name["syscall_exit-openat"]
    assert opened["type_id"] == 307
    assert opened["categories"] == ["file"]
    assert opened["tracepoints"] == ["sys_enter", "sys_exit"]
    assert opened["direction"] == "exit"
    assert opened["ext"] is False
    assert by_name["syscall_exit-openat2"]["ext"] is True
    assert by_name["syscall_exit-openat2"]["type_id"] is None, "Kindling has none for it"
    assert {"name", "flags"} <= {attribute["name"] for attribute in opened["attributes"]}
    assert {event["availability"] for event in listed} <= {
        "available",
        "degraded",
        "unavailable",
        "unknown",
    }
    assert all(event["reason"] for event in listed if event["availability"] != "available")


def test_what_a_kernel_cannot_deliver_is_listed_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Availability(refused={"on_tcp_state": "invalid mem access"})
    monkeypatch.setattr("engine.probe.availability.find_out", lambda: found)
    assert list_events(as_json=True) == 0
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    (tcp,) = (line for line in lines if line["name"] == "kprobe-tcp_set_state")
    assert tcp["availability"] == "unavailable"
    assert tcp["reason"] == "the kernel refused on_tcp_state: invalid mem access"
    assert list_events(as_json=False) == 0
    assert "the kernel refused on_tcp_state" in capsys.readouterr().out


def test_without_rights_the_list_says_that_it_could_not_be_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Availability(untried="could not be tried: no right (run as root)")
    monkeypatch.setattr("engine.probe.availability.find_out", lambda: found)
    assert list_events(as_json=False) == 0
    printed = capsys.readouterr()
    assert "unknown" in printed.out
    assert "could not be tried: no right (run as root)" in printed.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-e", "syscall_exit-opnat*"], "syscall_exit-openat"),
        (["-e", "*:nte"], "nearest: net"),
        (["-e", "@fils"], "@files"),
        (["--preset", "fils"], "@files"),
        (["--subscriptions", "/no/such.yml"], "cannot read /no/such.yml"),
        (["--comm", "a-name-that-is-too-long"], "longer than the 15 bytes"),
        (["--pid", "-1"], "not a process id"),
        (["--follow"], "nothing to follow"),
        (["--snaplen", "2049"], "setting snaplen = 2049 (from flag)"),
        (["--fault-interval", "0"], "setting fault_interval = 0 (from flag)"),
        (["--segment-interval", "-1"], "setting segment_interval_s = -1.0 (from flag)"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_a_clear_error(arguments: list[str], says: str) -> None:
    done = boxscope("events", *arguments, "--for", "0")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_everything_asked_for_adds_up(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text(
        "subscribe: [{name: syscall_exit-read, category: net}]\n"
        "process_filter: {comms: [dockerd]}\n"
    )
    asked, suppressed = asked_subscriptions(
        ["syscall_exit-*:net", "syscall_exit-read:net"], ["story"], [file], faithful=False
    )
    assert asked == (
        ("syscall_exit-*", "net"),
        ("syscall_exit-read", "net"),
        ("@story", ""),
    )
    assert suppressed == {"dockerd"}
    assert asked_subscriptions([], [], [], faithful=False) == ((("@story", ""),), frozenset())
    file.write_text("subscribe: [{name: nothing}]")
    with pytest.raises(UsageError, match=r"c\.yml: subscribe\[0\]"):
        asked_subscriptions([], [], [file], faithful=False)


def engine_with(*, on: str, unavailable: dict[str, str]) -> FakeEngine:
    """Its table has every cell; those of events that begin with `on` are switched on."""
    engine = FakeEngine()
    engine.set_table(
        "subscription",
        [
            new_record(
                SUBSCRIPTION,
                {
                    "event": cell.event.name,
                    "category": cell.category.label,
                    "on": cell.event.name.startswith(on),
                    "unavailable": unavailable.get(cell.event.name, ""),
                },
                ts_ns=0,
            )
            for cell in CELLS
        ],
    )
    return engine


def test_few_subscriptions_are_announced_by_name() -> None:
    engine = engine_with(on="syscall_exit-openat", unavailable={})
    said = announcement(engine, (("syscall_exit-openat", ""),), faithful=False)
    assert list(said) == ["subscribed: syscall_exit-openat"]


def test_many_switches_are_announced_by_their_number() -> None:
    engine = engine_with(on="syscall_exit-read", unavailable={})
    said = announcement(engine, (("syscall_exit-read", ""),), faithful=False)
    number = len(resolve("syscall_exit-read"))
    assert list(said) == [f"subscribed: syscall_exit-read (1 event, {number} switches)"]


def test_what_cannot_be_delivered_is_announced_once_with_its_reason() -> None:
    names = ["kprobe-tcp_set_state", "tracepoint-procexit"]
    engine = engine_with(on="syscall_exit-openat", unavailable=dict.fromkeys(names, "too old"))
    asked = (("syscall_exit-openat", ""), *((name, "") for name in names))
    said = list(announcement(engine, asked, faithful=False))
    assert said[1:] == ["not available: kprobe-tcp_set_state, tracepoint-procexit: too old"]


def test_where_nothing_can_be_delivered_there_is_nothing_to_wait_for() -> None:
    names = ["kprobe-tcp_set_state", "tracepoint-procexit"]
    engine = engine_with(on="none", unavailable=dict.fromkeys(names, "too old"))
    said = announcement(engine, tuple((name, "") for name in names), faithful=False)
    with pytest.raises(FailedError, match=r"kprobe-tcp_set_state, tracepoint-procexit: too old"):
        list(said)
