"""What an engine remembers can be asked as a recording can, and what is not in it is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import FailedError
from engine.core.kinds import KINDS
from engine.recording.memory import MemoryRecording
from engine.recording.query import Query
from engine.recording.rows import Value
from tests.unit.recording.test_recorder import Rings, recorded


def held(memory: MemoryRecording) -> dict[str, int]:
    """How many records of each kind there are."""
    query = asked(memory)
    counted = {kind: int(str(one(query, f'SELECT count(*) FROM "{kind}"'))) for kind in KINDS}
    return {kind: number for kind, number in counted.items() if number}


def asked(memory: MemoryRecording) -> Query:
    """It as it can be asked."""
    return memory.query(seconds=10, interrupted=lambda: False)


def one(query: Query, sql: str) -> Value:
    """The only value of an answer."""
    ((value,),) = query.ask(sql)
    return value


def catch_up(memory: MemoryRecording) -> list[tuple[int, int]]:
    """Bring it up to date; returns what was told meanwhile."""
    told: list[tuple[int, int]] = []
    memory.catch_up(lambda: False, lambda done, of: told.append((done, of)))
    return told


def test_it_holds_what_a_dump_of_the_memory_holds(tmp_path: Path) -> None:
    rings = Rings(capacity=100)
    for number in range(250):
        rings.add("kernel_event", name=f"call{number}", attributes={"n": number})
        rings.add("stats", sources={})
    rings.add("process", ports=[{"port": 80}])
    rings.rows = {"process": (rings.add("process", netns=1, change="created"),)}
    memory = MemoryRecording(rings, lambda: {"subscribed": ["read"]})
    catch_up(memory)
    dump = Query.open(recorded(tmp_path / "dump.db", rings).path)
    for kind in KINDS:
        every = f'SELECT * FROM "{kind}" ORDER BY seq'
        assert list(asked(memory).ask(every)) == list(dump.ask(every)), kind
    dump.close()
    assert one(asked(memory), "SELECT value FROM context WHERE name = 'subscribed'") == '["read"]'


def test_every_record_is_there_or_said_not_to_be() -> None:
    rings = Rings(capacity=100)
    for _ in range(130):
        rings.add("kernel_event", name="read")
    memory = MemoryRecording(rings, most=60)
    catch_up(memory)
    assert held(memory) == {"kernel_event": 60}
    assert memory.held[1:] == (60, 40, 30)
    assert one(asked(memory), "SELECT min(seq) FROM events") == 71
    for _ in range(110):
        rings.add("kernel_event", name="read")
    catch_up(memory)
    assert (memory.held.records, sum(memory.held[1:])) == (120, 240)
    assert held(memory) == {"kernel_event": 120}


def test_what_is_new_is_taken_in_and_nothing_twice() -> None:
    rings = Rings()
    for _ in range(1_200):
        rings.add("log", text="x")
    memory = MemoryRecording(rings)
    told = catch_up(memory)
    assert (told[0], told[-1], len(told)) == ((500, 1_200), (1_200, 1_200), 3)
    rings.add("log", text="new")
    assert catch_up(memory) == [(1, 1)]
    assert catch_up(memory) == []
    assert held(memory) == {"log": 1_201}
    assert not memory.is_full


def test_it_says_when_it_holds_too_much() -> None:
    rings = Rings()
    memory = MemoryRecording(rings, most=10)
    for _ in range(3):
        for _ in range(10):
            rings.add("log", text="x")
        catch_up(memory)
    assert (memory.held.records, memory.is_full) == (30, True)


def test_an_interrupted_one_goes_on_where_it_was() -> None:
    rings = Rings()
    for _ in range(1_200):
        rings.add("log", text="x")
    memory = MemoryRecording(rings)
    told: list[int] = []
    with pytest.raises(FailedError, match="interrupted"):
        memory.catch_up(lambda: bool(told), lambda done, of: told.append(done))
    assert held(memory) == {"log": 500}
    catch_up(memory)
    assert held(memory) == {"log": 1_200}
