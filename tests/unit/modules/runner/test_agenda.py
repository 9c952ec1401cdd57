"""What a runner is to do, in which order and until when."""

from __future__ import annotations

from engine.modules.runner.agenda import Agenda, described
from engine.modules.runner.protocol import Limits, Operation, RunSpec

LIMITS = Limits(open_s=5.0, call_s=10.0)


def spec(**more: str) -> RunSpec:
    return RunSpec("m", "/m.py", "python", ("runner",), limits=LIMITS, **more)  # type: ignore[arg-type]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def drained(agenda: Agenda) -> list[Operation]:
    found = []
    while operation := agenda.begin_next():
        found.append(operation)
    return found


def test_a_run_opens_its_file_looks_its_symbol_up_and_calls_it() -> None:
    agenda = Agenda(spec(symbol="Doctor", call="Check"), Clock())
    agenda.add_run()
    assert [described(each) for each in drained(agenda)] == [
        "opening it",
        "the lookup",
        "the call of Doctor.Check",
    ]
    assert (agenda.current, agenda.deadline) == (None, 0.0)


def test_what_an_operation_leaves_out_is_the_runs_own() -> None:
    agenda = Agenda(spec(symbol="Doctor"), Clock())
    for asked in (Operation("open"), Operation("call", method="Check"), Operation("call", "F")):
        agenda.add(asked)
    opened, called, named = drained(agenda)
    assert opened.path == "/m.py"
    assert (called.symbol, called.method) == ("Doctor", "Check")
    assert (named.symbol, named.method) == ("F", "")


def test_without_a_symbol_a_call_names_one() -> None:
    agenda = Agenda(spec(), Clock())
    agenda.add(Operation("call", method="Check"))
    (called,) = drained(agenda)
    assert (called.symbol, called.method) == ("Check", "")


def test_each_operation_has_its_own_time_from_when_it_is_begun() -> None:
    clock = Clock()
    agenda = Agenda(spec(), clock)
    agenda.add(Operation("open"))
    agenda.add(Operation("call", "F"))
    first = agenda.begin_next()
    assert (agenda.allowed_s, agenda.overdue(104.9), agenda.overdue(105.0)) == (5.0, None, first)
    assert [each.name for each in agenda.waiting] == ["call"]
    clock.now = 200.0
    second = agenda.begin_next()
    assert (agenda.allowed_s, agenda.overdue(209.9), agenda.overdue(210.0)) == (10.0, None, second)
