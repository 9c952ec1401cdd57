"""Why a process is selected or not: every criterion, every condition, in words and as data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.core.fields import JsonValue
from engine.core.sanitise import clean

BUILT_IN = "built-in "
"""What the name of a criterion begins with that nobody wrote."""
Verdict = Literal["selected", "inherited", "surveyed", "excluded", "not selected"]


@dataclass(frozen=True, slots=True)
class ConditionTrace:
    """One condition, tried on one process."""

    name: str
    """The key it is written under."""
    expected: str
    actual: str
    holds: bool
    note: str = ""
    """What the comparison alone does not tell."""

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object."""
        shown: dict[str, JsonValue] = {
            "condition": self.name,
            "expected": self.expected,
            "actual": self.actual,
            "result": self.holds,
        }
        return {**shown, "note": self.note} if self.note else shown


@dataclass(frozen=True, slots=True)
class CriterionTrace:
    """One criterion, tried on one process."""

    where: str
    text: str
    conditions: tuple[ConditionTrace, ...]
    """In the order they are checked; those behind the first failure are tried all the same."""

    @property
    def first_failure(self) -> ConditionTrace | None:
        """The condition that decided against; None if all hold."""
        return next((each for each in self.conditions if not each.holds), None)

    @property
    def matched(self) -> bool:
        """Whether every condition holds."""
        return self.first_failure is None

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object."""
        failure = self.first_failure
        return {
            "criterion": self.where,
            "text": self.text,
            "matched": failure is None,
            "first_failure": failure.name if failure else None,
            "conditions": tuple(each.as_json() for each in self.conditions),
        }

    def short(self) -> str:
        """One line for people."""
        failure = self.first_failure
        outcome = f"{failure.name} does not hold" if failure else "matches"
        return f"{'-' if failure else '+'} {clean(self.where)}: {outcome}"

    def lines(self) -> Iterator[str]:
        """For people."""
        failure = self.first_failure
        yield f"{'+' if self.matched else '-'} {clean(self.where)}: {self.text}"
        for each in self.conditions:
            mark = "ok  " if each.holds else "FAIL" if each is failure else "fail"
            line = f"    {mark} {each.name}: expected {each.expected}, actual {each.actual}"
            yield f"{line} ({each.note})" if each.note else line


@dataclass(frozen=True, slots=True)
class ServiceName:
    """What a selected process is called, and who says so."""

    name: str
    namespace: str
    source: str

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object."""
        return {"name": self.name, "namespace": self.namespace, "source": self.source}


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of one process, and why."""

    pid: int
    verdict: Verdict
    in_force: str
    """Which lists were in force."""
    criteria: tuple[CriterionTrace, ...]
    exclusions: tuple[CriterionTrace, ...]
    survey: tuple[CriterionTrace, ...] = ()
    inherited_from: int | None = None
    """The parent whose selection it shares."""
    inherited_text: str = ""
    service: ServiceName | None = None
    exports: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()
    left_out: str = ""
    """Why it is not selected though a criterion matches, if that is no exclusion."""

    @property
    def is_selected(self) -> bool:
        """Whether it is to be instrumented."""
        return self.verdict in ("selected", "inherited")

    @property
    def is_listed(self) -> bool:
        """Whether it is told of; what is surveyed is, though it is not to be instrumented."""
        return self.is_selected or self.verdict == "surveyed"

    @property
    def excluded_by(self) -> CriterionTrace | None:
        """The first exclusion that matches, whether it mattered or not."""
        return next((each for each in self.exclusions if each.matched), None)

    @property
    def matched(self) -> tuple[CriterionTrace, ...]:
        """The criteria that match, in their order."""
        return tuple(each for each in self.criteria if each.matched)

    @property
    def reason(self) -> str:
        """One line: the conditions that matched, or what stood in the way."""
        match self.verdict:
            case "selected":
                return " or ".join(each.text for each in self.matched)
            case "inherited":
                return f"{self.inherited_text}, inherited from {self.inherited_from}"
            case "surveyed":
                return " or ".join(f"survey: {each.text}" for each in self.survey if each.matched)
            case "excluded":
                by = self.excluded_by
                return f"excluded by {by.where}: {by.text}" if by else "excluded"
        return self._missed()

    def _missed(self) -> str:
        if self.left_out:
            return self.left_out
        if not self.criteria:
            return "the list of criteria is empty"
        failures = [
            f"{clean(each.where)}: {failed.name} is {failed.actual}, not {failed.expected}"
            for each in self.criteria
            if (failed := each.first_failure)
        ]
        return "; ".join(failures)

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object of kind `decision`."""
        by = self.excluded_by
        return {
            "kind": "decision",
            "pid": self.pid,
            "verdict": self.verdict,
            "reason": self.reason,
            "in_force": self.in_force,
            "criteria": tuple(each.as_json() for each in self.criteria),
            "exclusions": tuple(each.as_json() for each in self.exclusions),
            "survey": tuple(each.as_json() for each in self.survey),
            "excluded_by": by.where if by else None,
            "inherited_from": self.inherited_from,
            "service": self.service.as_json() if self.service else None,
            "exports": self.exports,
            "notes": self.notes,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"{self.verdict}: {self.reason}"
        yield f"in force: {self.in_force}"
        for heading, traces in (
            ("criteria", self.criteria),
            ("survey", self.survey),
            ("exclusions", self.exclusions),
        ):
            if traces:
                yield f"{heading}:"
            for trace in traces:
                short = trace.where.startswith(BUILT_IN) and trace.first_failure
                lines = (trace.short(),) if short else trace.lines()
                yield from (f"  {line}" for line in lines)
        if self.service:
            named = "/".join(filter(None, (self.service.namespace, self.service.name)))
            yield f"service: {named} (from {self.service.source})"
        for note in self.notes:
            yield f"note: {note}"
