from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import RequirementError
from engine.probe import availability, preflight
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.availability import Availability, absent_calls, find_out
from engine.probe.btf import Btf
from engine.probe.calls import CALLS
from engine.probe.catalogue import CELLS, EVENTS, Cell, resolve
from tests.unit.probe.btf_blob import BtfBuilder

(OPENAT,) = resolve("syscall_exit-openat")
(TCP,) = resolve("kprobe-tcp_set_state")
READ_FILE, _READ_NET, _READ_IPC, READ_OTHER = resolve("syscall_exit-read")


def test_where_nothing_is_lacking_everything_that_exists_is_available() -> None:
    found = Availability()
    for event in EVENTS:
        assert found.verdict(event).state == ("unavailable" if event.absent else "available")
    assert {found.why_not(cell) for cell in CELLS} == {event.absent for event in EVENTS} | {""}


def test_a_refused_program_makes_only_its_own_events_unavailable() -> None:
    found = Availability(refused={"on_tcp_state": "invalid mem access"})
    assert found.why_not(TCP) == "the kernel refused on_tcp_state: invalid mem access"
    for cell in CELLS:
        told = "the kernel refused" in found.why_not(cell)
        assert told == ("on_tcp_state" in cell.event.programs and not cell.event.absent)


def test_a_missing_tracepoint_is_named() -> None:
    found = Availability(tracepoints=frozenset({"inet_sock_set_state"}))
    assert found.why_not(TCP) == "this kernel has no tracepoint inet_sock_set_state"
    assert found.verdict(TCP.event) == (
        "unavailable",
        "this kernel has no tracepoint inet_sock_set_state",
    )
    assert found.why_not(OPENAT) == ""


@pytest.mark.parametrize(
    "found",
    [
        Availability(refused={"on_sock_send": "invalid mem access"}),
        Availability(tracepoints=frozenset({"sock_send_length"})),
    ],
    ids=["refused", "no tracepoint"],
)
def test_without_a_program_that_merely_helps_events_are_degraded(found: Availability) -> None:
    for event in EVENTS:
        helped = "on_sock_send" in {helper.program for helper in event.helpers}
        if not event.absent:
            assert found.verdict(event).state == ("degraded" if helped else "available")
            assert not found.why_not(Cell(event, event.columns[0]))
    lost = "who merely sends on a socket is not seen to own it"
    assert found.verdict(TCP.event) == ("degraded", lost)


def test_what_helps_one_event_may_be_what_another_is_made_of() -> None:
    found = Availability(refused={"on_tcp_retransmit": "too complex"})
    (connect,), (again,) = map(resolve, ("kretprobe-tcp_connect", "kprobe-tcp_retransmit_skb"))
    assert found.verdict(connect.event).state == "degraded"
    assert found.verdict(again.event).state == "unavailable"


def test_a_call_the_kernel_is_built_without_can_be_made_and_fails() -> None:
    found = Availability(calls=frozenset({"openat"}))
    assert found.why_not(OPENAT) == ""
    assert found.verdict(OPENAT.event) == (
        "degraded",
        "this kernel is built without openat, so it always fails",
    )
    assert found.verdict(READ_FILE.event).state == "available"


def test_an_event_of_which_only_some_cells_can_be_had_is_degraded() -> None:
    found = Availability(missing={"FD": "task_struct.files"})
    assert found.why_not(READ_FILE) == "this kernel has no task_struct.files"
    assert found.why_not(READ_OTHER) == ""
    assert found.verdict(READ_FILE.event) == ("degraded", "file descriptors cannot be told apart")


def test_an_event_that_lacks_an_attribute_is_degraded() -> None:
    found = Availability(missing={"IPV6": "sock.__sk_common.skc_v6_daddr"})
    assert found.why_not(TCP) == ""
    assert found.verdict(TCP.event) == ("degraded", "IPv6 addresses cannot be read")
    assert found.verdict(OPENAT.event).state == "available"


def test_without_a_trial_nothing_is_called_available() -> None:
    found = Availability(untried="could not be tried: no root", tracepoints=frozenset({"sys_exit"}))
    assert found.verdict(TCP.event) == ("unknown", "could not be tried: no root")
    assert found.verdict(OPENAT.event).state == "unavailable", "that much is known"


def test_the_kernels_symbols_tell_the_calls_it_is_built_without(tmp_path: Path) -> None:
    symbols = tmp_path / "kallsyms"
    names = {call.name for call in CALLS if call.number is not None}
    there = (names - {"uselib", "_sysctl", "pread"}) | {"pread64"}
    symbols.write_text(
        "".join(f"0000000000000000 T __x64_sys_{name}\n" for name in sorted(there))
        + "0000000000000000 T __x64_sys_pwrite64\n0000000000000000 T __x64_sys_prlimit64\n"
        + "0000000000000000 W __x64_sys_uselib\n"
    )
    assert absent_calls(symbols) == {"uselib", "_sysctl"}


def test_symbols_that_cannot_be_read_or_tell_nothing_say_of_no_call_that_it_is_absent(
    tmp_path: Path,
) -> None:
    (tmp_path / "kallsyms").write_text("0000000000000000 T sys_ni_syscall\n")
    assert absent_calls(tmp_path / "kallsyms") == frozenset()
    assert absent_calls(tmp_path / "none") == frozenset()


def test_the_type_information_tells_the_tracepoints_the_kernel_lacks() -> None:
    btf = Btf(BtfBuilder().blob())
    assert availability.absent_tracepoints(btf) == set(TRACEPOINT_OF.values())


def test_without_rights_the_reason_and_the_remedy_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RequirementError("loading is not allowed", fix="run as root")

    monkeypatch.setattr(preflight, "check", refuse)
    found = find_out()
    assert found.untried == "could not be tried: loading is not allowed (run as root)"
    assert found.verdict(TCP.event).state == "unknown"
