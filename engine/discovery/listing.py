"""The rows: one per listed process, made of what the stages tell."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple, TypeAlias

from engine.core.clock import Clock
from engine.core.errors import ProcessGone
from engine.core.fields import JsonValue
from engine.core.identity import ProcessId, read_stat
from engine.core.kinds import PROCESS
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.discovery.ancestry import ancestry
from engine.discovery.attachment import Listed
from engine.discovery.containers import container_facts
from engine.discovery.facts import ProcessFacts, user_name
from engine.discovery.observed import Change, Event, Port

_BATCHES_PER_ANCESTRY = 10
_CHANGE = PROCESS.index["change"]


_NO_PORT = Port(1 << 16, "", "")
"""Where those without a port stand: behind all others."""
_Place: TypeAlias = tuple[int, str, str, int, int]
"""Lowest port, protocol, address, pid; and the key, which makes it unique."""


class _Row(NamedTuple):
    record: Record
    place: _Place


class Listing:
    """Keeps one row per listed process."""

    def __init__(self, clock: Clock) -> None:
        self.rows: tuple[Record, ...] = ()
        """The rows by lowest port, then pid."""
        self._clock = clock
        self._rows: dict[int, _Row] = {}
        self._order: list[_Place] = []
        self._ordered: list[Record] = []
        """The records in that order."""
        self._ancestry: dict[ProcessId, tuple[str, ...]] = {}
        """By parent, of the processes of some batches: ancestors seldom change."""
        self._parents: dict[int, tuple[str, ...]] = {}
        """The same by pid, of one batch."""
        self._batches = 0

    def update(self, events: Iterable[Event[Listed]]) -> list[Record]:
        """Take in what changed; returns a record for each row that did."""
        changes: list[Record] = []
        self._batches += 1
        self._parents.clear()
        if self._batches % _BATCHES_PER_ANCESTRY == 0:
            self._ancestry.clear()
        for event in events:
            key = event.item.key
            old = self._rows.get(key)
            if event.change == "deleted":
                if old:
                    self._take_out(key)
                    changes.append(self._deleted(old.record))
                continue
            record = self._record(event.item, "changed" if old else "created")
            ports = event.item.matched.match.ports
            lowest = ports[0] if ports else _NO_PORT
            pid = event.item.identity.pid or 0
            place = (lowest.port, lowest.proto, lowest.address, pid, key)
            if old and _content(old.record) == _content(record):
                record = old.record
            else:
                changes.append(record)
            if old:
                self._take_out(key)
            self._rows[key] = _Row(record, place)
            position = bisect_left(self._order, place)
            self._order.insert(position, place)
            self._ordered.insert(position, record)
        if changes:
            self.rows = tuple(self._ordered)
        return changes

    def _take_out(self, key: int) -> None:
        place = self._rows.pop(key).place
        position = bisect_left(self._order, place)
        del self._order[position], self._ordered[position]

    def _record(self, listed: Listed, change: Change) -> Record:
        process, match = listed.matched.process, listed.matched.match
        values: dict[str, JsonValue] = {
            "ports": tuple(map(_port, match.ports)),
            "criterion": match.criterion or None,
            "verdict": match.verdict,
            "change": change,
            "attached": listed.attached,
            "capture_error": listed.refusal or None,
            "netns": process.netns or None,
        }
        facts = process.facts
        if facts is None:
            users = sorted({user_name(each.uid) for each in process.sockets})
            values["user"] = clean(", ".join(users))
            return new_record(PROCESS, values, ts_ns=self._clock.wall_ns())
        values |= {
            "exe": None if facts.exe is None else clean(facts.exe),
            "argv": tuple(map(clean, facts.argv)),
            **self._more_facts(facts),
            "container_id": facts.container_id,
            "user": None if facts.user is None else clean(facts.user),
            "ppid": facts.ppid,
            "start": facts.identity.start_ticks,
        }
        return new_record(
            PROCESS,
            values,
            ts_ns=self._clock.wall_ns(),
            pid=facts.identity.pid,
            comm=clean(facts.comm),
        )

    def _more_facts(self, facts: ProcessFacts) -> dict[str, JsonValue]:
        """Facts that are looked up elsewhere than in the process itself."""
        language = facts.language
        container = container_facts(facts.container).metadata if facts.container else {}
        return {
            "language": language and language.name,
            "language_rule": language and clean(language.rule),
            "go_version": language and language.version,
            "container_name": clean(container.get("container_name", "")) or None,
            "cgroup": None if facts.cgroup is None else clean(facts.cgroup),
            "ancestry": self._ancestry_of(facts.ppid),
        }

    def _ancestry_of(self, ppid: int) -> tuple[str, ...]:
        if ppid not in self._parents:
            self._parents[ppid] = self._look_up_ancestry(ppid)
        return self._parents[ppid]

    def _look_up_ancestry(self, ppid: int) -> tuple[str, ...]:
        try:
            parent = read_stat(ppid).identity
            if parent not in self._ancestry:
                found = ancestry(ppid)
                self._ancestry[parent] = tuple(f"{each.pid} {clean(each.comm)}" for each in found)
            return self._ancestry[parent]
        except (OSError, ProcessGone):
            return ()  # it has ended, or is hidden, or there are no descriptors left

    def _deleted(self, row: Record) -> Record:
        values = list(row.values)
        values[_CHANGE] = "deleted"
        return replace(row, seq=0, ts_ns=self._clock.wall_ns(), values=tuple(values))


def _port(port: Port) -> dict[str, JsonValue]:
    shown: dict[str, JsonValue] = {
        "port": port.port,
        "proto": port.proto,
        "address": port.address,
    }
    if port.netns:
        shown["netns"] = port.netns
    return shown


def _content(row: Record) -> tuple[object, ...]:
    """What a row tells, without when and why it was written."""
    return (row.comm, *row.values[:_CHANGE], *row.values[_CHANGE + 1 :])
