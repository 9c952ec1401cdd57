"""The table of system calls against Kindling's own and against the kernel's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from engine.probe.abi import CALL, pack_call
from engine.probe.call_events import CALL_EVENTS
from engine.probe.calls import CALLS, EXTENSION, FIRST_OWN_ROW, Call, Category
from engine.probe.catalogue import resolve, unavailable
from engine.probe.events import ROWS
from engine.probe.schema import SNAPLEN_MAX, Attribute

KINDLING = [
    tuple(line.split("\t"))
    for line in Path(__file__)
    .with_name("data")
    .joinpath("kindling_calls.tsv")
    .read_text()
    .splitlines()
    if not line.startswith("#")
]
BY_NAME = {call.name: call for call in CALLS}
UNISTD = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")


def typed(attributes: tuple[Attribute, ...]) -> str:
    """Kindling's attributes as its table has them."""
    return " ".join(f"{each.key}:{each.type}" for each in attributes if not each.ours) or "-"


@pytest.mark.parametrize("known", KINDLING, ids=lambda known: known[0])
def test_every_call_of_kindling_is_there_as_kindling_has_it(known: tuple[str, ...]) -> None:
    name, type_id, emitted, category, on_enter, on_exit = known
    call = BY_NAME[name]
    assert call.type_id == int(type_id)
    # Kindling calls thirteen calls `syscall`; these are told by their own names.
    assert call.emitted == (name if emitted == "syscall" else emitted)
    assert typed(call.enter) == on_enter
    assert typed(call.exit) == on_exit
    if category == "fd":
        assert call.category is None
    elif category != "-":
        assert call.category is Category[category.upper()]


def test_kindling_has_133_calls_and_266_events_of_them() -> None:
    names = {known[0] for known in KINDLING}
    assert len(KINDLING) == len(names) == 133
    assert len([event for event in CALL_EVENTS if not event.ext]) == 266


def test_the_others_are_marked_as_extensions() -> None:
    names = {known[0] for known in KINDLING}
    assert {call.name for call in CALLS if call.type_id == EXTENSION} == BY_NAME.keys() - names
    assert resolve("syscall_exit-openat2")[0].event.ext
    assert not resolve("syscall_exit-openat")[0].event.ext


def test_every_number_up_to_the_newest_has_one_call() -> None:
    numbers = [call.number for call in CALLS if call.number is not None]
    assert len(numbers) == len(set(numbers))
    assert set(range(337)) | set(range(424, 470)) == set(numbers)


@pytest.mark.skipif(not UNISTD.is_file(), reason="needs the C library's list of system calls")
def test_numbers_are_those_of_the_c_library() -> None:
    listed = re.findall(r"#define __NR_(\w+) (\d+)", UNISTD.read_text())
    kindlings = {
        "pread64": "pread",
        "pwrite64": "pwrite",
        "prlimit64": "prlimit",
        "umount2": "umount",
    }
    for name, number in listed:
        assert BY_NAME[kindlings.get(name, name)].number == int(number)


def test_calls_of_32_bits_are_listed_with_the_reason() -> None:
    absent = {event.name.partition("-")[2] for event in CALL_EVENTS if event.absent}
    assert absent == {"stat64", "lstat64", "fstat64", "llseek", "mmap2", "old_select"}
    for cell in resolve("syscall_exit-stat64"):
        assert "x86-64 has no such system call" in unavailable(cell, {})


def test_rows_are_unique_even_and_fit_the_matrix() -> None:
    rows = [call.row for call in CALLS]
    assert len(rows) == len(set(rows))
    assert all(row % 2 == 0 and 0 < row < ROWS - 1 for row in rows)


def test_calls_that_share_an_id_have_rows_of_their_own_but_for_the_first() -> None:
    assert (BY_NAME["dup"].row, BY_NAME["dup"].type_id) == (124, 124)
    for name in ("dup2", "dup3"):
        assert BY_NAME[name].type_id == 124
        assert BY_NAME[name].row >= FIRST_OWN_ROW
    assert resolve("syscall_exit-dup2")[0].event.type_id == 125
    assert resolve("syscall_exit-alarm")[0].event.type_id == 1


@pytest.mark.parametrize("name", ["epoll_wait", "poll", "select", "pselect6", "pause", "epoll_ctl"])
def test_waiting_is_its_own_category_and_kindlings_is_accepted(name: str) -> None:
    (cell,) = resolve(f"syscall_exit-{name}")
    assert cell.category is Category.WAIT
    assert resolve(f"syscall_exit-{name}", "other") == (cell,)


def test_a_call_that_never_returns_has_no_exit() -> None:
    names = {event.name for event in CALL_EVENTS}
    for call in ("exit", "exit_group", "rt_sigreturn"):
        assert f"syscall_enter-{call}" in names
        assert f"syscall_exit-{call}" not in names


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_every_call_can_be_handed_to_the_programs(call: Call) -> None:
    for snaplen in (0, 64, 100_000):
        assert len(pack_call(call, snaplen)) == CALL.size
    assert len(call.help) > 3


def test_what_is_given_is_told_on_enter_and_on_exit() -> None:
    for name, keys in (("openat", {"dirfd", "name", "flags"}), ("read", {"fd", "size"})):
        for way in ("enter", "exit"):
            assert keys <= set(resolve(f"syscall_{way}-{name}")[0].event.attributes)


def test_no_more_of_the_payload_is_asked_for_than_there_is_room_for() -> None:
    fields = CALL.unpack(pack_call(BY_NAME["read"], 100_000))
    assert SNAPLEN_MAX in fields
    assert max(fields[4:]) <= SNAPLEN_MAX
