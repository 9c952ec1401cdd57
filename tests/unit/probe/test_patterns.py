from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.probe.calls import Category
from engine.probe.catalogue import CELLS, EVENTS, resolve
from engine.probe.events import Event
from engine.probe.patterns import (
    CATEGORIES,
    cells_of,
    cells_of_all,
    kindling_category,
    parse,
    preset_named,
)
from engine.probe.presets import PRESETS, Preset

KINDLING_CATEGORIES = ["other", "file", "net", "ipc", "wait", "signal", "sleep", "time"]
KINDLING_CATEGORIES += ["process", "scheduler", "memory", "user", "system"]

KINDLING_IO = ["writev", "readv", "write", "read"]
KINDLING_IO += ["sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg"]


def pairs(name: str, category: str = "", *, faithful: bool = False) -> list[tuple[str, str]]:
    cells = cells_of(name, category, faithful=faithful)
    return [(cell.event.name, cell.category.label) for cell in cells]


def test_the_categories_are_kindlings() -> None:
    assert list(CATEGORIES) == KINDLING_CATEGORIES


def test_a_name_means_exactly_its_cells() -> None:
    for event in EVENTS:
        assert cells_of(event.name) == resolve(event.name)
    assert pairs("syscall_exit-read", "net") == [("syscall_exit-read", "net")]


def test_a_pattern_of_names_means_every_event_it_fits() -> None:
    meant = cells_of("syscall_exit-*")
    assert meant == tuple(cell for cell in CELLS if cell.event.name.startswith("syscall_exit-"))
    assert cells_of("*") == CELLS


def test_a_category_narrows_a_pattern_to_the_events_that_have_it() -> None:
    assert cells_of("*", "net") == tuple(cell for cell in CELLS if cell.category is Category.NET)
    reads = pairs("syscall_*-read*", "file")
    assert ("syscall_enter-read", "file") in reads
    assert ("syscall_exit-read", "file") in reads
    assert all(category == "file" for _, category in reads)


def test_categories_have_wildcards_too() -> None:
    assert pairs("syscall_exit-read", "[fn]*") == [
        ("syscall_exit-read", "file"),
        ("syscall_exit-read", "net"),
    ]
    assert cells_of("syscall_exit-read", "*") == cells_of("syscall_exit-read")


def test_a_pattern_fits_whole_names_only() -> None:
    assert {name for name, _ in pairs("*-read")} == {"syscall_enter-read", "syscall_exit-read"}
    for short in ("read", "openat", "tcp_*", "exit-read"):
        with pytest.raises(UsageError):
            cells_of(short)


@pytest.mark.parametrize(
    ("name", "category", "message", "fix"),
    [
        ("syscall_exit-opnat", "", "unknown event", "syscall_exit-openat"),
        ("openat", "", "unknown event", "syscall_exit-openat"),
        ("syscall_exit-opnat*", "", "no event matches", "syscall_exit-openat"),
        ("syscall_exit-read", "nte", "unknown category 'nte'", "nearest: net"),
        ("*", "fish", "unknown category 'fish'", ", ".join(KINDLING_CATEGORIES)),
        ("*", "x*", "unknown category 'x*'", "process"),
        ("syscall_exit-openat", "net", "no category 'net'", "valid: file"),
        ("syscall_*-openat", "net", "no category 'net'", "valid: file"),
        ("@netwrok", "", "unknown preset", "nearest: @network"),
        ("@", "", "unknown preset", "@files"),
        ("@network", "net", "takes no category", "write @network"),
        ("", "", "unknown event", "syscall"),
    ],
)
def test_what_means_nothing_is_refused_with_what_is_near(
    name: str, category: str, message: str, fix: str
) -> None:
    with pytest.raises(UsageError) as refused:
        cells_of(name, category)
    assert message in refused.value.message.replace('"', "'")
    assert fix in refused.value.fix


def test_what_is_quoted_in_an_error_cannot_steer_a_terminal() -> None:
    for name, category in (("\x1b]0;x*", ""), ("*", "\x1b"), ("@\x9b", ""), ("\x1b", "")):
        with pytest.raises(UsageError) as refused:
            cells_of(name, category)
        assert str(refused.value).isprintable()


def test_several_subscriptions_add_up_and_repeats_change_nothing() -> None:
    once = cells_of_all([("syscall_exit-read", "net"), ("syscall_exit-openat", "")])
    again = cells_of_all(
        [("syscall_exit-read", "net"), ("syscall_exit-openat", ""), ("syscall_exit-r*d", "net")]
    )
    assert again == once
    assert cells_of_all([("syscall_exit-read", ""), ("syscall_exit-read", "net")]) == cells_of(
        "syscall_exit-read"
    )


def test_a_subscription_is_written_as_name_and_perhaps_category() -> None:
    assert parse("syscall_exit-read") == ("syscall_exit-read", "")
    assert parse("syscall_exit-read:net") == ("syscall_exit-read", "net")
    assert parse("*:net") == ("*", "net")
    assert parse("@network") == ("@network", "")
    for wrong in ("syscall_exit-read:", "syscall_exit-read:fish", "nothing:net", "@files:", ""):
        with pytest.raises(UsageError):
            parse(wrong)


@pytest.mark.fuzz("event patterns")
@given(st.text(max_size=40))
def test_whatever_is_written_is_understood_or_refused(text: str) -> None:
    try:
        name, category = parse(text)
    except UsageError:
        return
    assert cells_of(name, category)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_entry_of_a_preset_means_something(
    preset: Preset,
) -> None:
    found = preset_named(preset.name)
    assert found is preset
    assert all(cells_of(*entry) for entry in found.subscriptions)
    assert cells_of(f"@{found.name}") == cells_of_all(found.subscriptions)
    assert found.help


def test_the_kindling_preset_is_the_list_its_agent_is_shipped_with() -> None:
    preset = preset_named("@kindling")
    assert len(preset.subscriptions) == 17
    io = {name for name, category in preset.subscriptions if category == "net"}
    assert io == {f"syscall_exit-{call}" for call in KINDLING_IO}
    assert {cell.category for cell in cells_of("@kindling")} == {Category.NET, Category.PROCESS}


RENAMED = [event for event in EVENTS if event.accepts]


@pytest.mark.parametrize("event", RENAMED, ids=lambda event: event.name)
def test_in_faithful_mode_kindlings_category_means_all_of_an_event(event: Event) -> None:
    every = resolve(event.name)
    for kindlings in event.accepts:
        assert cells_of(event.name, kindlings.label, faithful=True) == every
        assert set(every) <= set(cells_of("*", kindlings.label, faithful=True))
    assert {kindling_category(cell) for cell in every} == {event.accepts[0]}


def test_recvmmsg_is_other_to_kindling_whatever_its_socket_is() -> None:
    every = resolve("syscall_exit-recvmmsg")
    assert cells_of("syscall_exit-recvmmsg", "other", faithful=True) == every
    (plain,) = cells_of("syscall_exit-recvmmsg", "other")
    assert plain.category is Category.OTHER


def test_what_waits_is_other_to_kindling() -> None:
    waiting = [cell for cell in CELLS if cell.category in (Category.WAIT, Category.SCHEDULER)]
    assert waiting
    for cell in waiting:
        if not cell.event.ext:
            assert kindling_category(cell) is Category.OTHER
        assert cell not in cells_of("*", "other")


def test_in_faithful_mode_everything_else_keeps_its_category() -> None:
    for name, category in (("syscall_exit-read", "net"), ("syscall_exit-openat", "file")):
        (cell,) = cells_of(name, category, faithful=True)
        assert kindling_category(cell) is cell.category
