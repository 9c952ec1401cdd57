"""Why a record is here: what asked for it, who made it, and what else its source has lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from textual.content import Content

from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.call_text import HOOKS
from tui.console.format import ABSENT, count, rate, value_text
from tui.console.traffic_text import UNREADABLE, is_unreadable, parser_text
from tui.console.values import items_of, texts_of
from tui.console.wording import explain

_NAME_WIDTH = 16

SESSIONS = {
    "answered": "request and response",
    "unanswered": "a request; no response was seen",
    "unmatched": "a response; its request was not seen",
}
"""What the sessions of messages mean."""

SOURCES = {
    "plugin_record": "agent",
    "plugin_fault": "agent",
    "plugin_state": "agent",
    "module_event": "modules",
    "process": "discovery",
    "capture_state": "discovery",
    "kernel_event": "probe",
    "subscription": "probe",
    "probe_state": "probe",
    "l7_message": "traffic",
    "traffic_state": "traffic",
    "wasm_result": "wasm",
    "wasm_plugin": "wasm",
}
"""The source that records of a kind come from; the others are the engine's own."""

_DROPS = {
    "reader_behind": "had left the engine before a reader came",
    "ring_full": "lost in the kernel before they could be read",
    "beyond_limit": "lost in the kernel before they could be read",
    "recursion": "the kernel skipped the program",
    "malformed": "broke their format, or lie about their lengths",
    "fragment": "pieces of an IP packet",
    "retransmission": "seen before",
    "gap": "follow bytes that are missing, in the middle of a message",
    "buffer_full": "the head of a message did not end",
    "not_parsed": "claimed by a plugin, and none could parse them",
    "unix_socket": "without IP addresses",
    "no_address": "their socket was closed before its addresses were known",
    "link_type": "of an interface whose link layer is not understood",
    "left_alone": "of a server that failed too often",
    "rejected_result": "results that were refused",
    "bad_return": "returned a number without meaning",
    "deadline": "did not return in time",
    "trap": "did not return",
    "superseded": "replaced by a newer state before anybody looked",
}
"""What reasons of losses mean, beside those of a plugin's frames."""


class Gap(NamedTuple):
    """Records that a stream leaves out."""

    kind: str
    last: int
    """Number of the last of them."""
    number: int
    missed: int
    """Of these, the engine did not have any more when the stream came for them."""
    chosen: bool
    """Whether the stream shows some records only."""


def why_lines(record: Record, snapshot: Snapshot) -> list[Content]:
    """What made the record, as sentences, and the counters of where it came from."""
    lines = [_line(name, text) for name, text in _REASONS[record.kind](record, snapshot)]
    return lines + source_lines(_source_of(record), snapshot)


def _source_of(record: Record) -> str:
    return str(record.get("source")) if record.kind == "log" else SOURCES.get(record.kind, "")


def source_lines(name: str, snapshot: Snapshot) -> list[Content]:
    """What a source saw, kept and lost, by reason; nothing if there is no such source."""
    status = snapshot.sources.get(name)
    if status is None:
        return []
    counters = status.counters
    told = f"{clean(name)}: {counters.seen:,} seen = {counters.kept:,} kept"
    lines = [_line("its source", f"{told} + {counters.dropped_total:,} dropped")]
    for reason, lost in counters.dropped.items():
        meaning = explain(reason) or _DROPS.get(reason, "")
        lines.append(_line("", f"✗ {lost:,} {clean(reason)}{f': {meaning}' if meaning else ''}"))
    return lines


def gap_lines(gap: Gap, snapshot: Snapshot) -> list[Content]:
    """Which records a stream leaves out, why, and where they are."""
    first, unread = gap.last - gap.number + 1, gap.number - gap.missed
    lines = [_line("left out", f"{gap.number:,} records, {first:,} to {gap.last:,}")]
    if gap.missed:
        lines.append(
            _line("✗ reader_behind", f"{gap.missed:,} had left the engine before they were read")
        )
    if unread:
        what = "not looked at" if gap.chosen else "not shown"
        lines += [
            _line(f"··· {what}", f"{unread:,} came faster than a screen is read"),
            _line(
                "",
                "they are in the engine, its counters and recordings; one can go to that time",
            ),
        ]
    return lines + source_lines(SOURCES.get(gap.kind, ""), snapshot)


def _line(name: str, text: str) -> Content:
    return Content.assemble((name.ljust(_NAME_WIDTH), "bold"), " ", text)


Reasons = Iterator[tuple[str, str]]


def _text(record: Record, name: str) -> str:
    return value_text(record.get(name))


def _plugin_record(record: Record, snapshot: Snapshot) -> Reasons:
    yield "made by", f"plugin {_text(record, 'plugin')}, which wrote it to its pipe"
    for fault in texts_of(record.get("faults")):
        yield "✗ fault", f"{fault}: {explain(fault)}" if explain(fault) else fault


def _plugin_fault(record: Record, snapshot: Snapshot) -> Reasons:
    reason = _text(record, "reason")
    yield "made of", f"what plugin {_text(record, 'plugin')} wrote to its pipe, and is no record"
    yield "✗ dropped", f"{reason}: {explain(reason)}" if explain(reason) else reason


def _plugin_state(record: Record, snapshot: Snapshot) -> Reasons:
    kind, plugin = _text(record, "plugin_kind"), _text(record, "plugin")
    yield "listed as", f"{plugin} was loaded as a {kind}, and is looked at once a second"
    if record.get("error"):
        yield "✗ not running", _text(record, "error")


def _module_event(record: Record, snapshot: Snapshot) -> Reasons:
    kind = _text(record, "module_kind")
    yield "told by", f"the runner of module {_text(record, 'plugin')} ({kind})"


def _process(record: Record, snapshot: Snapshot) -> Reasons:
    yield "listed by", f"criterion {_text(record, 'criterion')}: {_text(record, 'verdict')}"
    if record.get("capture_error"):
        yield "✗ no capture", _text(record, "capture_error")


def _capture_state(record: Record, snapshot: Snapshot) -> Reasons:
    yield "captured by", f"{_text(record, 'cause')}; now {_text(record, 'state')}"


def _kernel_event(record: Record, snapshot: Snapshot) -> Reasons:
    event, category = record.get("event"), record.get("category")
    name = f"{value_text(event or record.get('name'))}:{value_text(category)}"
    yield "subscribed as", f"{name}{_subscribed(record, snapshot)}"
    if record.get("module"):
        yield "caused by", f"module {_text(record, 'module')}"


def subscription_of(record: Record, snapshot: Snapshot) -> Record | None:
    """The cell of the matrix that let a kernel event through."""
    for cell in snapshot.tables.get("subscription", ()):
        if (cell.get("event"), cell.get("category")) == (
            record.get("event"),
            record.get("category"),
        ):
            return cell
    return None


def _subscribed(record: Record, snapshot: Snapshot) -> str:
    cell = subscription_of(record, snapshot)
    if cell is None:
        return ""
    if not cell.get("on"):
        return ", which is off by now"
    speed, total = cell.get("rate"), cell.get("total")
    shown = f", on, {rate(speed)}/s" if isinstance(speed, (int, float)) else ", on"
    return f"{shown}, {count(total)} so far" if isinstance(total, int) else shown


def _l7_message(record: Record, snapshot: Snapshot) -> Reasons:
    yield "parsed by", parser_text(record)
    if is_unreadable(record):
        yield "✗", UNREADABLE
    yield "seen in", f"{_text(record, 'source')}, flow {_text(record, 'flow')}"
    session = _text(record, "session")
    if session in SESSIONS:
        yield "session", f"{session}: {SESSIONS[session]}"
    for position, decision in enumerate(texts_of(record.get("decision"))):
        yield "" if position else "decided", decision
    if left_out := record.get("attributes_dropped"):
        yield "✗ left out", f"{value_text(left_out)} attributes: more than 64, or named again"


def _wasm_result(record: Record, snapshot: Snapshot) -> Reasons:
    export = _text(record, "export")
    hook = f" ({HOOKS[export]})" if export in HOOKS else ""
    yield "called", f"{export}{hook} of {_text(record, 'plugin')}"
    messages = items_of(record.get("messages"))
    if messages:
        yield "for message", ", ".join(map(value_text, messages))
    if record.get("rerun_of") is not None:
        yield "asked for", f"to repeat call {_text(record, 'rerun_of')}"


def _wasm_plugin(record: Record, snapshot: Snapshot) -> Reasons:
    yield "loaded from", _text(record, "path")
    for refusal in texts_of(record.get("refusals")):
        yield "✗ an agent", f"would not load it: {refusal}"
    if record.get("error"):
        yield "✗ not loaded", _text(record, "error")


def _subscription(record: Record, snapshot: Snapshot) -> Reasons:
    yield "declared as", f"{_text(record, 'event')} in category {_text(record, 'category')}"
    if record.get("unavailable"):
        yield "× not here", _text(record, "unavailable")


def _probe_state(record: Record, snapshot: Snapshot) -> Reasons:
    yield "told by", "the kernel probe about itself, once a second"


def _traffic_state(record: Record, snapshot: Snapshot) -> Reasons:
    yield "told by", "the reader of traffic about itself, once a second"


def _log(record: Record, snapshot: Snapshot) -> Reasons:
    yield "said by", f"{_text(record, 'source')}, as {_text(record, 'level')}"


def _stats(record: Record, snapshot: Snapshot) -> Reasons:
    yield "told by", "the engine about its sources, once a second"
    sources = record.get("sources")
    if not sources:
        yield "sources", ABSENT


_REASONS: dict[str, Callable[[Record, Snapshot], Reasons]] = {
    "plugin_record": _plugin_record,
    "plugin_fault": _plugin_fault,
    "plugin_state": _plugin_state,
    "module_event": _module_event,
    "process": _process,
    "capture_state": _capture_state,
    "kernel_event": _kernel_event,
    "l7_message": _l7_message,
    "traffic_state": _traffic_state,
    "wasm_result": _wasm_result,
    "wasm_plugin": _wasm_plugin,
    "subscription": _subscription,
    "probe_state": _probe_state,
    "log": _log,
    "stats": _stats,
}
