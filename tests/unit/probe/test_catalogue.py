from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.calls import CALLS, Category
from engine.probe.catalogue import (
    CELLS,
    EVENTS,
    STORY,
    resolve,
    unavailable,
)
from engine.probe.events import COLUMNS, ROWS
from engine.probe.payload_maps import PAYLOAD_PROGRAMS
from engine.probe.session import FOLLOWING
from engine.probe.wakeups import WAKEUP_PROGRAMS

KINDLING = [
    # subscription name, type id, emitted name, categories
    ("syscall_enter-openat", 306, "openat", ("file",)),
    ("syscall_exit-openat", 307, "openat", ("file",)),
    ("syscall_enter-close", 4, "close", ("file", "net", "ipc", "other")),
    ("syscall_exit-read", 7, "read", ("file", "net", "ipc", "other")),
    ("syscall_exit-write", 9, "write", ("file", "net", "ipc", "other")),
    ("syscall_exit-connect", 23, "connect", ("net",)),
    ("syscall_exit-accept", 247, "accept", ("net",)),
    ("syscall_exit-accept4", 249, "accept", ("net",)),
    ("syscall_enter-execve", 292, "execve", ("process",)),
    ("tracepoint-procexit", 186, "procexit", ("process",)),
    ("kprobe-tcp_set_state", 336, "tcp_set_state", ("net",)),
]


@pytest.mark.parametrize(("name", "type_id", "emitted", "categories"), KINDLING)
def test_events_have_kindlings_ids_names_and_categories(
    name: str, type_id: int, emitted: str, categories: tuple[str, ...]
) -> None:
    event = resolve(name)[0].event
    assert (event.type_id, event.emitted, event.categories) == (type_id, emitted, categories)


def test_an_exit_has_the_id_after_its_enter() -> None:
    for call in CALLS:
        if not call.returns:
            continue
        (enter, *_), (leave, *_) = (
            resolve(f"syscall_{way}-{call.name}") for way in ("enter", "exit")
        )
        assert leave.event.row == enter.event.row + 1
        assert leave.event.type_id == enter.event.type_id + 1
        assert enter.event.type_id % 2 == 0


def test_names_ids_and_cells_are_unique_and_fit_the_matrix() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
    assert len({event.row for event in EVENTS}) == len(EVENTS)
    assert all(0 < event.row < ROWS for event in EVENTS)
    assert len({(cell.event.name, cell.category) for cell in CELLS}) == len(CELLS)
    assert all(cell.category < COLUMNS - 2 for cell in CELLS)


def test_every_program_an_event_needs_can_be_attached() -> None:
    serving = set(TRACEPOINT_OF) - FOLLOWING - {*PAYLOAD_PROGRAMS, *WAKEUP_PROGRAMS}
    vital = {program for event in EVENTS for program in event.programs}
    helping = {helper.program for event in EVENTS for helper in event.helpers}
    assert vital | helping == serving
    for event in EVENTS:
        assert not {helper.program for helper in event.helpers} & set(event.programs)


def test_no_category_means_all_of_the_events() -> None:
    assert [cell.category for cell in resolve("syscall_exit-read")] == [
        Category.FILE,
        Category.NET,
        Category.IPC,
        Category.OTHER,
    ]
    assert [cell.category for cell in resolve("syscall_exit-read", "net")] == [Category.NET]


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("syscall_exit-opneat", "syscall_exit-openat"),
        ("openat", "syscall_exit-openat"),
        ("tcp_set_state", "kprobe-tcp_set_state"),
        ("tracepoint-procexec", "tracepoint-procexit"),
        ("", "syscall"),
    ],
)
def test_an_unknown_event_is_answered_with_the_nearest(written: str, nearest: str) -> None:
    with pytest.raises(UsageError, match="unknown event") as refused:
        resolve(written)
    assert refused.value.exit_code == 2
    assert nearest in refused.value.fix


def test_a_category_an_event_never_has_is_answered_with_those_it_has() -> None:
    with pytest.raises(UsageError, match="no category 'net'") as refused:
        resolve("syscall_exit-openat", "net")
    assert refused.value.fix == "valid: file"


def test_the_story_can_be_subscribed() -> None:
    assert all(resolve(*pair) for pair in STORY)


def test_a_cell_is_unavailable_with_what_the_kernel_lacks() -> None:
    missing = {"TCP": "sock.sk_protocol", "FD": "task_struct.files"}
    (tcp,) = resolve("kprobe-tcp_set_state")
    (opened,) = resolve("syscall_exit-openat")
    file, _, _, other = resolve("syscall_exit-read")
    assert unavailable(tcp, missing) == "this kernel has no sock.sk_protocol"
    assert unavailable(file, missing) == "this kernel has no task_struct.files"
    assert unavailable(opened, missing) == unavailable(other, missing) == ""
