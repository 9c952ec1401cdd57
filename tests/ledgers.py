"""What a run puts the program through, as tables: faults, examples of fuzzing, Go plugins opened.

A test with `@pytest.mark.fault("what happens")` injects faults; the fixture `ledger` counts them
where one test injects several. A hypothesis test with `@pytest.mark.fuzz("what is read")` fuzzes.
A test's property VERDICT is a line about a file that was opened. All is gathered wherever it is, in
each process of a run, and told at its end.

    pytest -m fault --faults 10          ten times as many of each fault
    pytest -m fuzz --fuzz-seconds 300    as many examples as five minutes allow
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from engine.core.counters import Counters
from engine.core.snapshot import Snapshot

FAULT, FUZZ, VERDICT = "boxscope_fault", "boxscope_fuzz", "boxscope_verdict"
FAULT_COLUMNS = ("injected", "survived", "records lost without being counted")
FUZZ_COLUMNS = ("examples", "failures")
_OUTCOMES = ("passed", "failed", "error")


@dataclass
class Ledger:
    """The faults of one test.

    Args:
        budget: How many times as many as usual there may be.
    """

    budget: int = 1
    injected: int = 0
    survived: int = 0
    uncounted: int = 0

    def inject(self, number: int = 1) -> None:
        """Faults are about to happen."""
        self.injected += number

    def survive(self, *readings: Snapshot | Counters, number: int = 1) -> None:
        """They have been survived, and every record is in these counters, kept or dropped."""
        for reading in readings:
            if isinstance(reading, Counters):
                self.lose(_difference(reading))
            else:
                for status in reading.sources.values():
                    self.lose(sum(map(_difference, (status.counters, *status.stages.values()))))
        assert not self.uncounted, f"{self.uncounted} records lost without being counted"
        self.survived += number

    def lose(self, number: int) -> None:
        """Records are neither kept nor counted as dropped."""
        self.uncounted += number


def _difference(counters: Counters) -> int:
    return abs(counters.seen - counters.kept - counters.dropped_total)


@pytest.fixture
def ledger(request: pytest.FixtureRequest) -> Ledger:
    """Where a test notes the faults it injects."""
    one = Ledger(request.config.getoption("--faults"))
    request.node.stash[_LEDGER] = one
    return one


_LEDGER = pytest.StashKey[Ledger]()
_TARGETS = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The two budgets."""
    group = parser.getgroup("boxscope")
    group.addoption("--faults", type=int, default=1, help="how many times as many faults as usual")
    group.addoption(
        "--fuzz-seconds", type=float, default=0.0, help="fuzz for so long, shared by the targets"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line("markers", "fault(name): injects a fault of that name")
    config.addinivalue_line("markers", "fuzz(target): feeds what is made at random to a target")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Know how many tests each target has: all targets have an equal share of the time."""
    session.config.stash[_TARGETS] = Counter(filter(None, map(_target_of, session.items)))


def _target_of(item: pytest.Item) -> str:
    """What a test fuzzes, if it does."""
    mark = item.get_closest_marker("fuzz")
    return str(mark.args[0]) if mark and hasattr(item.obj, "hypothesis") else ""  # type: ignore[attr-defined]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Note what the test did, whatever becomes of it."""
    if target := _target_of(item):
        return (yield from _counting_examples(item, target))
    mark = item.get_closest_marker("fault")
    if mark is None:
        return (yield)
    passed = False
    try:
        result = yield
        passed = True
        return result
    finally:
        one = item.stash.get(_LEDGER, None) or Ledger(injected=1, survived=int(passed))
        figures = [str(mark.args[0]), one.injected, one.survived, one.uncounted]
        item.user_properties.append((FAULT, figures))


def _counting_examples(item: pytest.Item, target: str) -> Generator[None, object, object]:
    handle: Any = item.obj.hypothesis  # type: ignore[attr-defined]
    inner: Callable[..., object] = handle.inner_test
    examples = 0

    @functools.wraps(inner)
    def counted(*arguments: object, **named: object) -> object:
        nonlocal examples
        examples += 1
        return inner(*arguments, **named)

    handle.inner_test = counted
    try:
        return (yield)
    finally:
        handle.inner_test = inner
        item.user_properties.append((FUZZ, [target, examples]))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Run a target again and again, with other examples, for its share of the time."""
    seconds = pyfuncitem.config.getoption("--fuzz-seconds")
    target = _target_of(pyfuncitem)
    if not seconds or not target:
        return (yield)
    targets = pyfuncitem.config.stash[_TARGETS]
    end = time.monotonic() + seconds / len(targets) / targets[target]
    result = yield
    names = pyfuncitem._fixtureinfo.argnames
    while time.monotonic() < end:
        pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names})
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """All three tables."""
    faults: dict[str, list[int]] = {}
    fuzzed: dict[str, list[int]] = {}
    verdicts: list[str] = []
    for failed, kind, noted in _noted(terminalreporter):
        if kind == VERDICT:
            verdicts.append(noted)
            continue
        name, *figures = noted
        table, row = (faults, figures) if kind == FAULT else (fuzzed, [*figures, int(failed)])
        before = table.setdefault(name, [0] * len(row))
        table[name] = [a + b for a, b in zip(before, row, strict=True)]
    _tell(terminalreporter, "faults", FAULT_COLUMNS, faults)
    _tell(terminalreporter, "fuzzing", FUZZ_COLUMNS, fuzzed)
    if verdicts:
        terminalreporter.section("plugin.Open: the verdict and what happened")
        for line in verdicts:
            terminalreporter.write_line(line)


def _noted(reporter: pytest.TerminalReporter) -> Iterator[tuple[bool, str, Any]]:
    for outcome in _OUTCOMES:
        for report in reporter.stats.get(outcome, ()):
            if getattr(report, "when", "") == "call":
                for kind, value in report.user_properties:
                    if kind in (FAULT, FUZZ, VERDICT):
                        yield outcome != "passed", kind, value


def _tell(
    reporter: pytest.TerminalReporter,
    what: str,
    heads: Sequence[str],
    rows: dict[str, list[int]],
) -> None:
    if not rows:
        return
    totals = [sum(column) for column in zip(*rows.values(), strict=True)]
    width = max(map(len, rows)) + 2
    reporter.section(what)
    reporter.write_line(f"{'':{width}}" + "".join(f"{head:>{len(head) + 3}}" for head in heads))
    for name, figures in [*sorted(rows.items()), ("all", totals)]:
        cells = (f"{figure:>{len(head) + 3},}" for head, figure in zip(heads, figures, strict=True))
        reporter.write_line(f"{name:{width}}" + "".join(cells))
