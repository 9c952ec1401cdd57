"""Record the golden events of tests/unit/probe/data/events.json from the running kernel.

    .venv/bin/python -m tests.kernel.record_events

To be done when the layout of an event or what is made of it has changed on purpose; the change of
the file then shows what became of the records. Needs root and BCC.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Hashable, Iterator
from pathlib import Path

from engine.core.fields import JsonValue
from engine.probe.abi import EVENT
from engine.probe.calls import CALLS
from engine.probe.catalogue import EVENTS
from engine.probe.convert import Converter
from engine.probe.filters import Filters
from engine.probe.raw import sections_of
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, new_probe

_GOLDEN = Path(__file__).parents[1] / "unit/probe/data/events.json"
_SCRIPT = Path(__file__).with_name("caller_process.py")
_PLACE = Path("/tmp/golden")
_SCENARIOS = (
    ("files", str(_PLACE)), ("descriptors",), ("sockets",), ("processes",), ("memory",),
    ("unreadable",), ("execute", "/bin/true", "argument"),
)  # fmt: skip
_FREQUENT = ("sched", "page_fault", "cpu", "ingress", "egress")
"""Parts of names of events that are not caused by what the caller does."""
_CGROUP_AT = EVENT.size - 32
"""The cgroup id says something of the machine alone."""

Golden = dict[str, JsonValue]


def main() -> None:
    """Record, choose and write."""
    shutil.rmtree(_PLACE, ignore_errors=True)
    _PLACE.mkdir()
    os.chdir("/")
    try:
        recorded = list(_record())
    finally:
        shutil.rmtree(_PLACE)
    chosen = _choose(recorded)
    _GOLDEN.write_text(json.dumps(chosen, indent=1) + "\n")
    print(f"{len(chosen)} of {len(recorded)} events")  # noqa: T201


def _record() -> Iterator[Golden]:
    """Everything the caller is told to have done."""
    raw: list[bytes] = []
    convert = Converter.convert

    def keep(self: Converter, data: memoryview, at: int, length: int, offset: int) -> object:
        raw.append(bytes(data[at : at + length]))
        return convert(self, data, at, length, offset)

    probe = new_probe()
    probe.start()
    try:
        assert probe.wait_ready(READY_S), probe.status()
        with Actor(_SCRIPT) as caller:
            probe.set_filters(Filters(tgids=frozenset({caller.pid}), follow=True))
            names = (each.name for each in EVENTS if not each.absent)
            probe.switch(((n, "") for n in names if not any(w in n for w in _FREQUENT)), True)
            for command, *arguments in _SCENARIOS:
                caller.do(command, *arguments)
        probe.drain()
        Converter.convert = keep  # type: ignore[assignment,method-assign]
        probe.rings["kernel_event"].since(0, 1_000_000)
    finally:
        Converter.convert = convert  # type: ignore[method-assign]
        probe.stop()
    for one in raw:
        yield _golden(one[:_CGROUP_AT] + bytes(8) + one[_CGROUP_AT + 8 :])


def _golden(raw: bytes) -> Golden:
    record = Converter().convert(memoryview(raw), 0, len(raw), 0).as_json()
    del record["kind"], record["seq"]
    return {"raw": raw.hex(), "record": record}


def _choose(recorded: list[Golden]) -> list[Golden]:
    """As few events as show everything that any of them shows."""
    shows = [frozenset(_features(each)) for each in recorded]
    left = set().union(*shows)
    chosen = []
    while left:
        best = max(range(len(recorded)), key=lambda place: len(shows[place] & left))
        chosen.append(best)
        left -= shows[best]
    return [recorded[place] for place in sorted(chosen)]


def _features(golden: Golden) -> Iterator[Hashable]:
    record = golden["record"]
    assert isinstance(record, dict)
    name, attributes = str(record["event"]), record["attributes"]
    assert isinstance(attributes, dict)
    way, _, call_name = name.partition("-")
    yield way, record["direction"]
    yield "category", record["category"]
    yield "failed", record["errno"] is not None
    yield "latency", record["latency_ns"] is not None
    yield "missing", "missing" in attributes
    for key in ("fd_type", "role", "protocol", "source"):
        yield key, record.get(key)
    for section in sections_of(bytes.fromhex(str(golden["raw"]))[EVENT.size :]):
        yield "section", section.kind
    if not name.startswith("syscall"):
        yield "event", name
    for call in CALLS:
        if call.name == call_name and name.startswith("syscall"):
            for each in call.enter if record["direction"] == "enter" else call.exit:
                if each.key in attributes:
                    yield "source", each.source
                    yield "notation", each.notation
                    yield "type", each.type


if __name__ == "__main__":
    main()
