"""Which calls of Wasm plugins belong to which message, and which repeat which.

The engine makes the record of a call when it is asked for it, and keeps thousands: what looks
through many of them is for a thread of its own, not for the UI's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from engine.core.kinds import L7_MESSAGE, WASM_RESULT
from engine.core.records import Record
from tui.console.reader import RecordReader
from tui.console.values import items_of, map_of, optional, whole

_WINDOW = 500
_MOST = 500
"""Calls a search keeps; the newest."""
_SLACK_US = 1
"""Latencies are told in whole microseconds."""


class CallSearch:
    """The calls kept that a predicate lets through, oldest first; looks at each call once.

    Args:
        reader: Where calls come from.
        wanted: Which of them.
        after: Number after which calls are looked at.
    """

    def __init__(
        self, reader: RecordReader, wanted: Callable[[Record], bool], *, after: int = 0
    ) -> None:
        self._reader = reader
        self._wanted = wanted
        self._looked_at = after
        self._given_up = False
        self.found: tuple[Record, ...] = ()

    def give_up(self) -> None:
        """Look no further: nobody wants to know any more."""
        self._given_up = True

    @property
    def behind(self) -> bool:
        """Whether there are calls that have not been looked at."""
        return self._reader.last_seq(WASM_RESULT.name) > self._looked_at

    def look(self) -> bool:
        """Look at the calls that have come; True if one of them is wanted."""
        before = self.found
        while self.behind and not self._given_up:
            batch = self._reader.since(WASM_RESULT.name, self._looked_at, _WINDOW)
            self._looked_at = batch.last_seq
            new = tuple(filter(self._wanted, batch.records))
            self.found = (*self.found, *new)[-_MOST:]
        return self.found is not before and self.found != before


def runs_of(reader: RecordReader, call: Record) -> CallSearch:
    """The calls that repeat a call."""
    return CallSearch(reader, lambda each: each.get("rerun_of") == call.seq, after=call.seq)


def runs_of_plugin(reader: RecordReader, plugin: object, *, after: int = 0) -> CallSearch:
    """The calls of a plugin that repeat others."""
    return CallSearch(
        reader,
        lambda each: each.get("rerun_of") is not None and each.get("plugin") == plugin,
        after=after,
    )


def call_of(reader: RecordReader, seq: int) -> Record | None:
    """The call of that number, if it is kept."""
    found = reader.since(WASM_RESULT.name, seq - 1, 1).records
    return found[0] if found and found[0].seq == seq else None


def calls_of(reader: RecordReader, message: Record) -> list[Record]:
    """The calls that were made for a message, oldest first, as far as they are kept."""
    told = optional(message, "wasm_calls")
    if told is None:
        return _calls_by_time(reader, message)
    numbers = map(whole, items_of(told))
    found = (call_of(reader, number) for number in numbers if number is not None)
    return [call for call in found if call is not None]


def _calls_by_time(reader: RecordReader, message: Record) -> list[Record]:
    """The calls for the request of a message, for its response, and those between them."""
    latency = message.get("latency_ms")
    lasted_us = round(latency * 1_000) if isinstance(latency, (int, float)) else 0
    begin_us = message.ts_ns // 1_000 - _SLACK_US
    end_us = begin_us + lasted_us + 2 * _SLACK_US
    found: list[Record] = []
    for calls in _backwards(reader, WASM_RESULT.name):
        times = [_time_us(call) for call in calls]
        found += [
            call
            for call, time_us in zip(calls, times, strict=True)
            if begin_us <= time_us <= end_us
            and call.get("rerun_of") is None
            and _same_flow(message, call)
        ]
        if max(times) < begin_us:
            break
    return found[::-1]


def message_of(reader: RecordReader, call: Record) -> Record | None:
    """The newest message of the flow that a call was made for, if one is kept."""
    messages = (each for some in _backwards(reader, L7_MESSAGE.name) for each in some)
    return next((message for message in messages if _same_flow(message, call)), None)


def _time_us(call: Record) -> int:
    return whole(map_of(call.get("context")).get("time_us")) or 0


def _same_flow(message: Record, call: Record) -> bool:
    context = map_of(call.get("context"))
    return message.get("flow") == context.get("flow_id") and {
        message.get("src"),
        message.get("dst"),
    } == {context.get("src"), context.get("dst")}


def _backwards(reader: RecordReader, kind: str) -> Iterator[Sequence[Record]]:
    """The records kept, newest first, in windows."""
    last = reader.last_seq(kind)
    while last > 0:
        begin = max(0, last - _WINDOW)
        records = reader.since(kind, begin, last - begin).records
        if not records:
            return
        yield records[::-1]
        last = begin
