from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.probe.patterns import cells_of
from engine.probe.subscription_file import parse_subscriptions, read_subscriptions

DATA = Path(__file__).parent / "data"

PRESENT = b"""
receivers:
  cgoreceiver:
    subscribe:
      - name: syscall_exit-read
        category: net
      - name: syscall_exit-openat
        category: ""
        params: {terminator: ""}
      - {name: tracepoint-procexit}
    process_filter:
      comms: [kindling-collec, containerd]
"""
OLDER = b"""
receivers:
  udsreceiver:
    zeromqpull: {endpoint: "ipc:///home/kindling/0"}
    zeromqreq:
      endpoint: ipc:///home/kindling/1
      subscribe:
        - {name: syscall_exit-read, category: net}
        - {name: syscall_exit-openat}
        - {name: tracepoint-procexit}
"""
WANTED = (("syscall_exit-read", "net"), ("syscall_exit-openat", ""), ("tracepoint-procexit", ""))


def test_the_present_form() -> None:
    read = parse_subscriptions(PRESENT, "c.yml")
    assert read.subscriptions == WANTED
    assert read.suppressed_comms == ("kindling-collec", "containerd")


def test_the_older_form() -> None:
    read = parse_subscriptions(OLDER, "c.yml")
    assert read.subscriptions == WANTED
    assert read.suppressed_comms == ()


def test_a_bare_list_with_patterns_and_presets() -> None:
    text = b"subscribe: [{name: 'syscall_exit-*', category: net}, {name: '@files'}]"
    assert parse_subscriptions(text, "c.yml").subscriptions == (
        ("syscall_exit-*", "net"),
        ("@files", ""),
    )


def test_the_configuration_kindling_is_shipped_with_is_the_kindling_preset() -> None:
    read = read_subscriptions(DATA / "kindling-collector.yml")
    assert len(read.subscriptions) == 17
    meant = {cell for entry in read.subscriptions for cell in cells_of(*entry)}
    assert meant == set(cells_of("@kindling"))
    assert "containerd-shim" in read.suppressed_comms


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "c.yml is not YAML: line 1"),
        ("subscribe: [*x]", "is not YAML"),
        ("!!python/object/apply:os.system ['true']", "is not YAML"),
        ("", "has no subscriptions"),
        ("- name: syscall_exit-read", "has no subscriptions"),
        ("receivers: {cgoreceiver: 5}", "has no subscriptions"),
        ("subscribe: 5", "c.yml: subscribe is no list"),
        ("subscribe: [{name: syscall_exit-read}, 5]", "c.yml: subscribe[1] is no mapping"),
        ("subscribe: [{category: net}]", "subscribe[0] has no name"),
        ("subscribe: [{name: 5}]", "subscribe[0] has no name"),
        ("subscribe: [{name: syscall_exit-read, category: 5}]", "subscribe[0] has a category"),
        ("subscribe: [{name: syscall_exit-read, categry: net}]", "unknown key 'categry'"),
        ("subscribe: [{name: syscall_exit-raed}]", "subscribe[0]: unknown event"),
        ("subscribe: [{name: syscall_exit-read, category: nte}]", "unknown category 'nte'"),
        (
            "receivers: {cgoreceiver: {subscribe: [{name: x}]}}",
            "receivers.cgoreceiver.subscribe[0]: unknown event",
        ),
        ("{subscribe: [], process_filter: {comms: 5}}", "process_filter.comms is no list"),
        (
            "{subscribe: [], process_filter: {comms: [sshd, kindling-collector]}}",
            "c.yml: process_filter.comms[1]: 'kindling-collector' is longer than the 15 bytes",
        ),
    ],
)
def test_what_is_wrong_is_told_with_file_and_entry(text: str, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_subscriptions(text.encode(), "c.yml")
    assert says in refused.value.message.replace('"', "'")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*none\.yml: No such file"):
        read_subscriptions(tmp_path / "none.yml")
    with pytest.raises(UsageError, match="cannot read"):
        read_subscriptions(tmp_path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yml"
    with huge.open("wb") as file:
        file.truncate(5 << 20)
    with pytest.raises(UsageError, match="longer than 4 MiB"):
        read_subscriptions(huge)


def test_faithful_takes_other_for_calls_that_wait() -> None:
    text = b"subscribe: [{name: syscall_exit-epoll_wait, category: other}]"
    (entry,) = parse_subscriptions(text, "c.yml", faithful=True).subscriptions
    assert [cell.category.label for cell in cells_of(*entry, faithful=True)] == ["wait"]


@pytest.mark.fuzz("subscription file")
@given(st.binary(max_size=200))
def test_whatever_is_in_a_file_is_read_or_refused(text: bytes) -> None:
    try:
        read = parse_subscriptions(text, "c.yml")
    except UsageError:
        return
    assert all(cells_of(*entry) for entry in read.subscriptions)
