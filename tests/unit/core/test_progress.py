"""What an engine is busy with is told while it lasts, and can be ended where that is possible."""

from __future__ import annotations

import pytest

from engine.core.errors import FailedError
from engine.core.progress import TaskFacts, Tasks, by_asking, progress_text


class ManualClock:
    """A clock that tests turn."""

    now_ns = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def wall_ns(self) -> int:
        return self.now_ns


def test_a_task_is_told_from_its_beginning_to_its_end() -> None:
    clock = ManualClock()
    tasks = Tasks(clock)
    with tasks.begin("compiling") as task:
        clock.now_ns = 2_000_000_000
        task.advance(1, 4)
        (facts,) = tasks.facts()
        assert (facts.name, facts.elapsed_s, facts.share) == ("compiling", 2.0, 0.25)
    assert tasks.facts() == ()


def test_a_task_that_fails_is_over_too() -> None:
    tasks = Tasks()
    with pytest.raises(ZeroDivisionError), tasks.begin("dividing"):
        _ = 1 // 0
    assert tasks.facts() == ()


def test_the_oldest_task_comes_first() -> None:
    tasks = Tasks()
    with tasks.begin("first"), tasks.begin("second"):
        assert [task.name for task in tasks.facts()] == ["first", "second"]


def test_only_what_takes_half_a_second_is_long() -> None:
    clock = ManualClock()
    tasks = Tasks(clock)
    with tasks.begin("brief"):
        clock.now_ns = 499_000_000
        assert not tasks.facts()[0].is_long
        clock.now_ns = 500_000_000
        assert tasks.facts()[0].is_long


def test_cancelling_calls_what_ends_it_and_is_told() -> None:
    ended: list[bool] = []
    tasks = Tasks()
    with tasks.begin("compiling", lambda: ended.append(True)) as task:
        tasks.cancel(tasks.facts()[0].number)
        assert (ended, task.cancelled, tasks.facts()[0].cancelled) == ([True], True, True)


def test_a_task_may_ask_whether_it_is_cancelled() -> None:
    tasks = Tasks()
    with tasks.begin("downloading", by_asking) as task:
        assert not task.cancelled
        tasks.cancel(tasks.facts()[0].number)
        assert task.cancelled


def test_what_cannot_be_cancelled_says_so() -> None:
    tasks = Tasks()
    with tasks.begin("compiling"):
        assert not tasks.facts()[0].cancellable
        with pytest.raises(FailedError, match="compiling cannot be cancelled"):
            tasks.cancel(tasks.facts()[0].number)


def test_cancelling_what_is_over_does_nothing() -> None:
    tasks = Tasks()
    with tasks.begin("compiling"):
        number = tasks.facts()[0].number
    tasks.cancel(number)


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        (TaskFacts(1, "compiling", 3.4), "compiling 3 s"),
        (TaskFacts(1, "opening box.jsonl", 3.4, 45, 100), "opening box.jsonl 45% 3 s"),
        (TaskFacts(1, "writing", 1.0, 9, 8), "writing 100% 1 s"),
        (TaskFacts(1, "writing", 1.0, 0, 0), "writing 1 s"),
        (TaskFacts(1, "writing", 1.0, cancelled=True), "writing 1 s, being cancelled"),
    ],
)
def test_a_task_in_a_few_words(facts: TaskFacts, text: str) -> None:
    assert progress_text(facts) == text


def test_a_name_from_outside_is_made_fit_to_be_shown() -> None:
    tasks = Tasks()
    with tasks.begin("opening \x1b]0;x\x07"):
        assert "\x1b" not in tasks.facts()[0].name
