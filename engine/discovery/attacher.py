"""The third stage: whose traffic is captured.

Capture is attached to a process that a criterion asks it for, or that somebody chose, listed or
not. What was chosen by hand holds for the program (`succession`): a process that takes the place
of one that ended is attached again, and one that was detached by hand stays detached.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from engine.core.capabilities import SIGHT, effective, grant
from engine.core.errors import BoxscopeError, FailedError, ProcessGone
from engine.core.identity import ProcessId, read_stat
from engine.core.sanitise import clean
from engine.core.source import LogLevel
from engine.discovery.attachment import Attachment, AttachmentState, Listed, unlisted
from engine.discovery.capture import NO_COST, Capture
from engine.discovery.facts import ProcessFacts, read_facts
from engine.discovery.language import Languages
from engine.discovery.matching import Matched
from engine.discovery.observed import Event
from engine.discovery.stages import QUEUE_BATCHES, Stage
from engine.discovery.succession import Choices

_PAST_KEPT = 64
"""Attachments that are told of after their end."""

_DEAD = "ZX"
"""States of what ended and waits for its parent to notice."""


class Attacher(Stage[Matched, Listed]):
    """Attaches and detaches capture, and tells which processes are attached.

    Args:
        log: Told what is attached and detached, and once of each reason why something is not.
        capture: Captures the traffic; without it nothing can be attached.
    """

    def __init__(
        self,
        upstream: Callable[[], Mapping[int, Matched]],
        log: Callable[[LogLevel, str], None],
        capture: Capture | None = None,
        capacity: int = QUEUE_BATCHES,
    ) -> None:
        super().__init__("discovery-attach", upstream, capacity)
        self._capture = capture
        self._log = log
        self._choices = Choices()
        self._attached: Mapping[int, Attachment] = {}
        self._past: deque[Attachment] = deque(maxlen=_PAST_KEPT)
        self._ending = threading.Lock()
        """Held while one goes from what is attached to what was."""
        self._unlisted: dict[int, Listed] = {}
        """What is attached and the stage before knows nothing of."""
        self._refusals: dict[int, str] = {}
        self._warned: set[str] = set()
        self._failed = False
        self._was_ready = False
        self._review = False
        """Whether something changed that may let others be attached."""

    @property
    def attached(self) -> frozenset[int]:
        """The pids that are attached now, captured already or waiting for that."""
        return frozenset(self._attached)

    def attachments(self) -> list[Attachment]:
        """What is attached, with what it has cost so far, and some of what was before."""
        with self._ending:
            costs = self._capture.costs() if self._capture else {}
            attached, ended, state = self._attached, tuple(self._past), self._state
        awaited = {choice.process for choice in self._choices.awaited}
        past = [
            replace(each, state="awaited") if each.process in awaited else each for each in ended
        ]
        return past + [
            replace(each, state=state, cost=costs[each.process])
            for each in attached.values()
            if each.process in costs
        ]

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process, listed or not, and of those that take its place.

        Raises:
            ProcessGone: if there is no such process.
            BoxscopeError: if it cannot be captured.
        """
        if pid == os.getpid():
            raise FailedError("boxscope does not listen to itself")
        identity = _identity(pid)
        with self._working:
            self.pump()
            matched = self._matched(identity)
            facts = (matched and matched.process.facts) or read_facts(pid, Languages())
            try:
                self._begin(facts, "by hand")
                self._choices.make(facts, matched, wanted=True)
            except BoxscopeError as error:
                self._refusals[pid] = error.message
                raise
            finally:
                self._work([Event("changed", matched)] if matched else [])

    def detach(self, pid: int) -> None:
        """End capturing the traffic of a process, and of those that take its place.

        Raises:
            FailedError: if it is not attached.
        """
        with self._working:
            self.pump()
            attachment = self._attached.get(pid)
            if attachment is None:
                raise FailedError(f"process {pid} is not attached")
            matched = self._matched(attachment.process)
            self._end(pid, "detached")
            self._choices.drop(pid)
            if matched and matched.process.facts:
                self._choices.make(matched.process.facts, matched, wanted=False)
            self._work([Event("changed", matched)] if matched else [])

    def tend(self) -> None:
        """Notice what no event tells: the end of processes that are not listed, and that what
        could not be captured now can, or no longer."""
        with self._working:
            self._sweep()
            failed, ready = self._failure() is not None, self._ready
            if (failed, ready) != (self._failed, self._was_ready) or self._review:
                if self._failed and not failed:
                    self._warned.clear()
                self._failed, self._was_ready, self._review = failed, ready, False
                for pid in self._attached.keys() - self._known.keys() if failed else ():
                    self._end(pid, "detached")
                self.reconsider()
            self._show_unlisted()

    def handle(self, event: Event[Matched]) -> tuple[Listed | None, str]:
        """Attach or detach, as is wanted."""
        matched = event.item
        facts = matched.process.facts
        if facts is None or self._capture is None:
            return Listed(matched), ""
        pid = facts.identity.pid
        if pid in self._attached and self._attached[pid].process != facts.identity:
            self._sweep()
            self._end(pid, "ended")
        choice = self._choices.of(facts, matched)
        if choice is None:
            wanted, cause = matched.match.attach and pid != os.getpid(), "criterion"
        else:
            wanted, cause = choice.wanted, "by hand"
            if choice.in_place_of is not None:
                cause = f"in place of {choice.in_place_of}"
        if wanted:
            self._try(facts, cause)
        else:
            self._end(pid, "detached")
        captured = pid in self._attached and self._ready
        return Listed(matched, captured, self._refusals.get(pid, "")), ""

    def forget(self, item: Matched) -> None:
        """Detach what has ended, and what is not listed any more unless it was chosen by hand."""
        self._refusals.pop(item.key, None)
        self._sweep()
        attachment = self._attached.get(item.key)
        if attachment and not self._choices.holds(attachment.process):
            self._end(item.key, "detached" if _lives(attachment.process) else "ended")

    def close(self) -> None:
        """Detach everything; what was attached to the end goes on being told as such."""
        with self._working:
            self._past = deque(self._past)
            for pid in self._attached:
                self._end(pid, self._state)

    def _work(self, events: Sequence[Event[Matched]]) -> None:
        super()._work(events)
        self._show_unlisted()

    def _show_unlisted(self) -> None:
        """Have what is attached listed, whether a criterion selects it or not."""
        wanted = self._attached.keys() - self._known.keys()
        before, told, out = self._unlisted, dict(self.told), list[Event[Listed]]()
        ready = self._ready
        self._unlisted = {
            pid: old
            if (old := before.get(pid)) and old.attached == ready
            else unlisted(self._attached[pid].facts, attached=ready)
            for pid in wanted
        }
        for pid in before.keys() - wanted - self._known.keys():
            out.append(Event("deleted", told.pop(pid)))
        for pid, item in self._unlisted.items():
            if item is not before.get(pid):
                told[pid] = item
                out.append(Event("changed" if pid in before else "created", item))
        if out:
            self.told = told
            self.emit(out)

    def _matched(self, process: ProcessId) -> Matched | None:
        """What is listed about a process, if it is."""
        matched = self._known.get(process.pid)
        facts = matched and matched.process.facts
        return matched if facts and facts.identity == process else None

    def _failure(self) -> BoxscopeError | None:
        return self._capture.failure if self._capture else None

    @property
    def _ready(self) -> bool:
        return self._capture is not None and self._capture.ready

    @property
    def _state(self) -> AttachmentState:
        """That of what is attached."""
        return "attached" if self._ready else "waiting"

    def _sweep(self) -> None:
        """Let go of what was chosen by hand and has ended."""
        for choice in self._choices.sweep(_lives):
            self._end(choice.process.pid, "ended")
            self._review = True

    def _try(self, facts: ProcessFacts, cause: str) -> None:
        pid = facts.identity.pid
        if self._failure() is not None:
            self._end(pid, "detached")
        try:
            self._begin(facts, cause)
        except BoxscopeError as error:
            self._refusals[pid] = error.message
            if error.message not in self._warned:
                self._warned.add(error.message)
                self._log("warning", f"process {pid} is not captured: {error}")

    def _begin(self, facts: ProcessFacts, cause: str) -> None:
        if self._capture is None:
            raise FailedError("traffic capture does not run here")
        pid = facts.identity.pid
        if pid in self._attached:
            return
        self._capture.attach(facts.identity)
        self._attached = {**self._attached, pid: Attachment(facts, cause)}
        self._refusals.pop(pid, None)
        name = f"process {pid} ({clean(facts.comm)})"
        doing = "listening to" if self._ready else "as soon as that can be done, listening to"
        self._log("info", f"{doing} {name}: {cause}")

    def _end(self, pid: int, state: AttachmentState) -> None:
        attachment = self._attached.get(pid)
        if attachment is None or self._capture is None:
            return
        self._review = self._review or bool(self._refusals)
        with self._ending:
            cost = NO_COST
            try:
                cost = self._capture.detach(attachment.process)
            except BoxscopeError as error:
                self._log("warning", f"process {pid} is not released cleanly: {error}")
            self._past.append(replace(attachment, state=state, cost=cost))
            self._attached = {key: each for key, each in self._attached.items() if key != pid}
        name = f"{pid} ({clean(attachment.facts.comm)})"
        why = ", which has ended" if state == "ended" else ""
        self._log("info", f"no longer listening to process {name}{why}")


def _identity(pid: int) -> ProcessId:
    try:
        stat = read_stat(pid)
    except PermissionError as error:
        raise FailedError(
            f"process {pid} is hidden from this user",
            fix=grant(SIGHT, effective()),
        ) from error
    if stat.state in _DEAD:
        raise ProcessGone(f"process {pid} has ended")
    return stat.identity


def _lives(process: ProcessId) -> bool:
    """Whether a process is still there and not about to end."""
    try:
        stat = read_stat(process.pid)
    except PermissionError:
        return True
    except ProcessGone:
        return False
    return stat.identity == process and not stat.is_ending and stat.state not in _DEAD
