"""The rows: which processes are listed, and what came, changed and went since the last look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, NamedTuple

from engine.core.clock import Clock
from engine.core.errors import ProcessGone
from engine.core.fields import JsonValue
from engine.core.identity import ProcessId
from engine.core.kinds import PROCESS
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.discovery.ancestry import ancestry
from engine.discovery.candidate import Candidate
from engine.discovery.containers import container_facts
from engine.discovery.evaluate import decide
from engine.discovery.facts import ProcessFacts, read_exe, read_facts, user_name
from engine.discovery.judge import Judge
from engine.discovery.language import Languages
from engine.discovery.owners import Turn
from engine.discovery.policy import Policy
from engine.discovery.process_sockets import LocalPorts
from engine.discovery.sockdiag import BoundSocket
from engine.discovery.trace import Verdict

_EXES_CHECKED = 64
"""Executables looked at again per update, in turn."""
_CHANGE = PROCESS.index["change"]

Change = Literal["created", "changed", "deleted"]
SocketsByPid = Mapping[int | None, Sequence[BoundSocket]]
"""Under None stand the sockets that no visible process holds."""


class Port(NamedTuple):
    """One port of a process; sorts as it is shown."""

    port: int
    proto: str
    address: str


@dataclass(frozen=True, slots=True)
class _Tracked:
    """A process with sockets, listed or not."""

    pid: int | None
    facts: ProcessFacts | None
    """None where there is no process."""
    sockets: Sequence[BoundSocket]
    ports: tuple[Port, ...]
    row: Record | None = None
    """None if no criterion selects it."""

    @property
    def identity(self) -> ProcessId | None:
        return self.facts.identity if self.facts else None


class _Shown(NamedTuple):
    """What a row says about the decision."""

    ports: tuple[Port, ...]
    verdict: Verdict
    reason: str


class Listing:
    """Keeps one row per process that has ports and is selected."""

    def __init__(self, clock: Clock, *, show_all: bool = False) -> None:
        """Make an empty listing.

        Args:
            clock: Where stamps come from.
            show_all: Whether processes that no criterion selects have rows too.
        """
        self.rows: tuple[Record, ...] = ()
        """The rows by lowest port, then pid."""
        self._clock = clock
        self._judge: Judge | None = None
        self._held: SocketsByPid = {}
        self._tracked: dict[int | None, _Tracked] = {}
        self._languages = Languages()
        self._ancestry: dict[int, tuple[str, ...]] = {}
        self._show_all = show_all
        self._turn = Turn()

    def update(
        self, sockets: SocketsByPid, policy: Policy, fresh: AbstractSet[int]
    ) -> list[Record]:
        """Take in one look at the sockets.

        Args:
            sockets: What each process holds now.
            policy: What is listed now; a new one is applied to everything.
            fresh: Pids that may mean another process or executable than at the last look.

        Returns:
            A record for each row that was created, changed or deleted. A row whose process no
            longer meets its criteria is deleted too.
        """
        renewed = self._judge is None or policy != self._judge.policy
        judge = Judge(policy, self._languages, self._ports_of)
        self._judge, self._held = judge, sockets
        self._ancestry.clear()
        doubtful = fresh | self._with_another_exe()
        before = dict(self._tracked)
        after: dict[int | None, _Tracked] = {}
        changes: list[Record] = []
        for pid, held in sockets.items():
            old = before.pop(pid, None)
            new = self._examine(pid, held, old, pid in doubtful)
            if old and new is old and not renewed:
                after[pid] = old
                continue
            if old and (new is None or new.identity != old.identity):
                changes += self._deleted(old)
                old = None
            if new:
                after[pid], change = self._with_row(new, old, judge)
                changes += change
        for gone in before.values():
            changes += self._deleted(gone)
        if policy.inherit:
            changes += self._heirs(after, {each.pid for each in changes if each.pid}, judge)
        self._tracked = after
        if changes:
            self._sort_rows()
        return changes

    def _heirs(
        self, tracked: dict[int | None, _Tracked], changed: set[int], judge: Judge
    ) -> list[Record]:
        """Decide anew about the children of processes whose row came, changed or went."""
        changes: list[Record] = []
        while changed:
            children = [
                each for each in tracked.values() if each.facts and each.facts.ppid in changed
            ]
            changed = set()
            for child in children:
                tracked[child.pid], change = self._with_row(child, child, judge)
                changes += change
                changed |= {each.pid for each in change if each.pid}
        return changes

    def _ports_of(self, pid: int) -> LocalPorts:
        return LocalPorts(tuple({each.port for each in self._held.get(pid, ())}))

    def _with_another_exe(self) -> set[int]:
        pids = (pid for pid in self._tracked if pid is not None)
        return {
            pid
            for pid in islice(self._turn.over(pids), _EXES_CHECKED)
            if (facts := self._tracked[pid].facts) and read_exe(pid) != facts.exe
        }

    def _examine(
        self, pid: int | None, held: Sequence[BoundSocket], old: _Tracked | None, doubtful: bool
    ) -> _Tracked | None:
        """The process as it is now, `old` itself if nothing differs, None if it has ended."""
        if old and old.sockets == held and not doubtful:
            return old
        try:
            facts = None if pid is None else read_facts(pid, self._languages)
        except ProcessGone:
            return None
        ports = tuple(sorted({Port(each.port, each.proto, each.address) for each in held}))
        if old and old.facts == facts and old.ports == ports:
            return old if old.sockets == held else replace(old, sockets=held)
        return _Tracked(pid, facts, held, ports)

    def _with_row(
        self, new: _Tracked, old: _Tracked | None, judge: Judge
    ) -> tuple[_Tracked, list[Record]]:
        """The process with its row, and what changed about the row."""
        shown = self._shown(new, judge)
        if shown is None:
            return replace(new, row=None), self._deleted(old) if old else []
        former = old.row if old else None
        row = self._row(new, shown, "changed" if former else "created")
        if former and _content(former) == _content(row):
            return replace(new, row=former), []
        return replace(new, row=row), [row]

    def _shown(self, process: _Tracked, judge: Judge) -> _Shown | None:
        """What the row says; None if there is to be none.

        Every port of a process that is selected is shown, none of another; without a process,
        the ports that are wanted by themselves.
        """
        if process.facts is None:
            decided = {
                port: decide(judge.policy, Candidate(0, ports=(port.port,)))
                for port in process.ports
            }
            wanted = {port: each.reason for port, each in decided.items() if each.is_selected}
            if not (wanted or self._show_all):
                return None
            ports = process.ports if self._show_all else tuple(wanted)
            verdict: Verdict = "selected" if wanted else "not selected"
            return _Shown(ports, verdict, " or ".join(dict.fromkeys(wanted.values())))
        distinct = tuple(dict.fromkeys(port.port for port in process.ports))
        decision = judge.decide(process.facts, LocalPorts(distinct))
        if not (decision.is_selected or self._show_all):
            return None
        reason = decision.reason if decision.verdict != "not selected" else ""
        return _Shown(process.ports, decision.verdict, reason)

    def _row(self, process: _Tracked, shown: _Shown, change: Change) -> Record:
        facts = process.facts
        common: dict[str, JsonValue] = {
            "ports": tuple(port._asdict() for port in shown.ports),
            "criterion": shown.reason or None,
            "verdict": shown.verdict,
            "change": change,
            "attached": False,
        }
        if facts is None:
            users = sorted({user_name(each.uid) for each in process.sockets})
            return new_record(
                PROCESS, {**common, "user": clean(", ".join(users))}, ts_ns=self._clock.wall_ns()
            )
        return new_record(
            PROCESS,
            {
                **common,
                "exe": None if facts.exe is None else clean(facts.exe),
                "argv": tuple(map(clean, facts.argv)),
                **self._more_facts(facts),
                "container_id": facts.container_id,
                "user": None if facts.user is None else clean(facts.user),
                "ppid": facts.ppid,
                "start": facts.identity.start_ticks,
            },
            ts_ns=self._clock.wall_ns(),
            pid=facts.identity.pid,
            comm=clean(facts.comm),
        )

    def _more_facts(self, facts: ProcessFacts) -> dict[str, JsonValue]:
        """Facts that are looked up elsewhere than in the process itself."""
        language = facts.language
        container = container_facts(facts.container).metadata if facts.container else {}
        if facts.ppid not in self._ancestry:
            self._ancestry[facts.ppid] = tuple(
                f"{each.pid} {clean(each.comm)}" for each in ancestry(facts.ppid)
            )
        return {
            "language": language and language.name,
            "language_rule": language and clean(language.rule),
            "go_version": language and language.version,
            "container_name": clean(container.get("container_name", "")) or None,
            "cgroup": None if facts.cgroup is None else clean(facts.cgroup),
            "ancestry": self._ancestry[facts.ppid],
        }

    def _deleted(self, gone: _Tracked) -> list[Record]:
        if gone.row is None:
            return []
        values = list(gone.row.values)
        values[_CHANGE] = "deleted"
        return [replace(gone.row, seq=0, ts_ns=self._clock.wall_ns(), values=tuple(values))]

    def _sort_rows(self) -> None:
        listed = [process for process in self._tracked.values() if process.row]
        listed.sort(key=lambda process: (process.ports[0], process.pid or 0))
        self.rows = tuple(process.row for process in listed if process.row)


def _content(row: Record) -> tuple[object, ...]:
    """What a row tells, without when and why it was written."""
    return (row.comm, *row.values[:_CHANGE], *row.values[_CHANGE + 1 :])
