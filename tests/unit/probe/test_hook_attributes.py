from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from engine.core.fields import JsonValue
from engine.probe import hook_attributes, reasons, socket_attributes
from engine.probe.abi import EventFlag, SectionKind, TimeList
from engine.probe.catalogue import resolve
from engine.probe.convert import Converter
from engine.probe.hooks import HOOKS, MARK_VICTIM
from engine.probe.raw import Raw, Section
from engine.probe.socket_hooks import TCP_SYNACK
from engine.probe.task_values import clone_flags, fault_access, signal_code, task_state

GOLDEN = json.loads(Path(__file__).with_name("data").joinpath("hook_events.json").read_text())
"""Raw events as Linux 6.18 wrote them, and the records they are."""
REASONS = {
    reasons.DROP_REASONS: {
        6: "SKB_DROP_REASON_SOCKET_RCVBUFF",
        33: "SKB_DROP_REASON_TCP_OLD_DATA",
    },
    reasons.RESET_REASONS: {1: "SK_RST_REASON_NO_SOCKET", 14: "SK_RST_REASON_TCP_STATE"},
}
"""Numbers of that kernel."""
SIGNAL_DEFAULT, SIGNAL_IGNORED, SIGNAL_HANDLED = range(3)
NOT_TOLD = 1 << 9
LEAVING = 1 << 8


def raw(*args: int, flags: int = 0, sections: tuple[Section, ...] = (), wall_ns: int = 0) -> Raw:
    return Raw((*args, *([0] * (6 - len(args)))), 0, flags, sections, wall_ns)


def text(argument: int, value: bytes) -> Section:
    return Section(SectionKind.TEXT, argument, value + b"\0")


class TestGolden:
    @pytest.fixture(autouse=True)
    def kernel(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reasons, "_names", lambda enumeration: REASONS[enumeration])

    @pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["record"]["event"])
    def test_a_raw_event_is_the_record_it_was_known_to_be(
        self, golden: dict[str, dict[str, JsonValue]]
    ) -> None:
        data = memoryview(bytes.fromhex(str(golden["raw"])))
        shown = Converter().convert(data, 0, len(data), 0).as_json()
        assert {name: shown[name] for name in golden["record"]} == golden["record"]

    @pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["record"]["event"])
    def test_attributes_are_those_the_catalogue_announces(
        self, golden: dict[str, dict[str, JsonValue]]
    ) -> None:
        record = golden["record"]
        announced = resolve(str(record["event"]))[0].event.attributes
        attributes = record["attributes"]
        assert isinstance(attributes, dict)
        assert set(attributes) <= set(announced)

    def test_every_event_that_is_staged_at_once_is_shown(self) -> None:
        shown = {golden["record"]["event"] for golden in GOLDEN}
        assert shown == {event.name for event in HOOKS} - {MARK_VICTIM.name, TCP_SYNACK.name}


def test_each_event_has_a_row_and_a_decoder_of_its_own() -> None:
    rows = [event.row for event in HOOKS]
    assert len(set(rows)) == len(rows)
    assert set(hook_attributes.HOOK_DECODERS) == set(rows)


class TestExit:
    @pytest.mark.parametrize(
        ("status", "exit_code", "signal"),
        [(0, 0, None), (3 << 8, 3, None), (255 << 8, 255, None), (9, None, "SIGKILL")],
    )
    def test_a_status_is_a_code_or_a_signal(
        self, status: int, exit_code: int | None, signal: str | None
    ) -> None:
        made = hook_attributes.exited(raw(status, 1))
        assert (made["exit_code"], made["signal"], made["group_dead"]) == (exit_code, signal, True)
        assert "core_dumped" not in made

    def test_a_core_dump_is_told(self) -> None:
        assert hook_attributes.exited(raw(11 | 0x80, 0))["core_dumped"] is True


class TestConnect:
    @pytest.mark.parametrize(
        ("state", "error", "sent", "outcome", "retval"),
        [
            (1, 0, 1, "established", 0),
            (2, 0, 1, "no answer yet", 0),
            (7, 111, 1, "ECONNREFUSED", 0),
            (7, 110, 3, "ETIMEDOUT", 0),
            (7, 0, 1, "given up", 0),
            (7, 0, 0, "not sent", None),
        ],
    )
    def test_the_outcome_is_told(
        self, state: int, error: int, sent: int, outcome: str, retval: int | None
    ) -> None:
        made = socket_attributes.connecting(raw(state, error, sent))
        assert (made["outcome"], made["retval"]) == (outcome, retval)

    def test_without_addresses_there_are_none(self) -> None:
        made = socket_attributes.connecting(raw(1))
        assert [made[name] for name in ("sip", "sport", "dip", "dport", "src", "dst")] == [None] * 6
        assert (made["owner"], made["role"]) == (None, None)


class TestSignals:
    def test_the_sender_is_named(self) -> None:
        made = hook_attributes.signalled(
            raw(10, 0, 5 << 32 | 7, 8, SIGNAL_HANDLED, 10, sections=(text(0, b"se\x1bnder"),))
        )
        assert (made["spid"], made["stid"], made["dpid"]) == (7, 8, 5)
        assert (made["signal"], made["code"], made["action"]) == ("SIGUSR1", "SI_USER", "handler")
        assert "\x1b" not in str(made["scomm"])
        assert "delivered_as" not in made

    def test_what_was_sent_and_what_was_delivered_are_kept_apart(self) -> None:
        made = hook_attributes.signalled(raw(15, 0, 0, 0, SIGNAL_DEFAULT, 9 | NOT_TOLD))
        assert (made["signal"], made["delivered_as"]) == ("SIGTERM", "SIGKILL")
        assert (made["code"], made["spid"], made["scomm"]) == (None, None, None)

    def test_a_thread_ended_by_another_ones_exit_is_told(self) -> None:
        made = hook_attributes.signalled(raw(9, 0, 0, 0, SIGNAL_IGNORED, 9 | LEAVING | NOT_TOLD))
        assert (made["cause"], made["action"]) == ("exit_group", "ignored")


class TestTime:
    def lists(self, **values: tuple[str, list[int]]) -> tuple[Section, ...]:
        return tuple(
            Section(
                SectionKind.LIST,
                TimeList[name],
                struct.pack(f"<{len(numbers)}{code}", *numbers),
            )
            for name, (code, numbers) in values.items()
        )

    @pytest.mark.parametrize(
        ("types", "waits"), [([0, 2, 0, 3], [0, 1]), ([2, 0, 3, 0], [0, 1]), ([0], []), ([6], [0])]
    )
    def test_each_wait_finds_its_own_entry(self, types: list[int], waits: list[int]) -> None:
        sections = self.lists(
            TYPES=("B", types),
            LENGTHS=("Q", [10] * len(types)),
            QUEUE=("Q", [100, 101]),
            WAKERS=("I", [0, 201]),
            REASONS=("I", [1, 2]),
        )
        made = hook_attributes.timed(raw(sections=sections, wall_ns=1_000))
        assert made["runq_latency"] == [100 + wait for wait in waits]
        assert made["waker"] == [[None, 201][wait] for wait in waits]
        assert made["off_reason"] == [["sleeping", "waiting"][wait] for wait in waits]
        assert (made["start_time"], made["end_time"]) == (1_000 - 10 * len(types), 1_000)
        assert made["off_ns"] == 10 * len(waits)


class TestPrograms:
    def test_arguments_are_told_one_by_one(self) -> None:
        sections = (text(0, b"/bin/x"), Section(SectionKind.ARGV, 1, b"x\0\0y\x07\0"))
        made = hook_attributes.executed(raw(4, sections=sections))
        assert made == {"filename": "/bin/x", "argv": ["x", "", "y␇"], "old_tid": 4}

    def test_what_could_not_be_read_is_named(self) -> None:
        made = hook_attributes.executed(
            raw(4, flags=EventFlag.MISSING, sections=(text(0, b"/bin/x"),))
        )
        assert made["argv"] is None
        assert made["missing"] == ["argv"]


@pytest.mark.parametrize(
    ("bits", "state"),
    [
        (0, "running"),
        (1, "sleeping"),
        (2, "waiting"),
        (0x402, "idle"),
        (0x20, "zombie"),
        (0x40, "parked"),
        (0x1000, "0x1000"),
    ],
)
def test_a_state_has_a_name(bits: int, state: str) -> None:
    assert task_state(bits) == state


@pytest.mark.parametrize(
    ("bits", "flags"),
    [
        (0, "0x0"),
        (0x100, "CLONE_VM"),
        (0x4100, "CLONE_VM|CLONE_VFORK"),
        (1 << 40 | 0x100, "CLONE_VM|0x10000000000"),
    ],
)
def test_clone_flags_are_written_as_the_manual_writes_them(bits: int, flags: str) -> None:
    assert clone_flags(bits) == flags


@pytest.mark.parametrize(
    ("code", "shown"), [(0, "SI_USER"), (-6, "SI_TKILL"), (128, "SI_KERNEL"), (2, "2")]
)
def test_a_signals_code_has_a_name(code: int, shown: str) -> None:
    assert signal_code(code) == shown


@pytest.mark.parametrize(
    ("error", "shown"),
    [(4, "read absent"), (6, "write absent"), (7, "write protected"), (20, "execute absent")],
)
def test_a_page_fault_tells_what_for(error: int, shown: str) -> None:
    assert fault_access(error) == shown
