"""What the console says about one call of a Wasm plugin: pure functions from its record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from textual.content import Content

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import ABSENT, number, value_text
from tui.console.values import bytes_of, flat, items_of, map_of, texts_of, whole
from tui.console.widgets.columns import Tone
from tui.console.widgets.hexdump import hex_lines

_NAME_WIDTH = 14
_LONGEST_NAME = 32
_MAX_LINES = 500

HOOKS = {
    "on_http_req": "HTTP request",
    "on_http_resp": "HTTP response",
    "check_payload": "payload: whose protocol is it",
    "parse_payload": "payload: what does it say",
    "on_custom_message": "custom message",
}
"""What each hook is called for."""

ACTIONS = {
    "next": "passed the message on",
    "abort": "stopped the chain without a result: nothing changes",
    "result": "stopped the chain with a result",
    "error": "its result was refused, or it returned a number without meaning",
    "trap": "did not return; the next plugin was asked",
}
"""What each action means for the message."""

_CHECK_ACTIONS = {"next": "not its protocol", "result": "claimed the protocol"}
"""The same for `check_payload`, where it is something else."""

_ACTION_TONES: dict[str, Tone] = {"result": "good", "error": "bad", "trap": "bad"}
_EBPF_TYPES = {
    0: "read or written by an attached process",
    1: "before or after TLS",
    2: "HTTP/2 headers of a Go program",
    4: "file input or output",
    5: "HTTP/2 data of a Go program",
    8: "a Unix socket",
    255: "captured packets",
}
"""Where the payload was taken from."""

_BLOCKED = "a real agent has no deadline: this thread of it would hang for good"
_PREFIXES = ("stdout: ", "fault: ", "note: ", "frame: ")

Section = tuple[str, Sequence[Content]]


def action_tone(call: Record) -> Tone:
    """How the action is emphasised."""
    return _ACTION_TONES.get(str(call.get("action")), "")


def outcome_text(call: Record) -> str:
    """What came of a call, on one line."""
    if error := call.get("error"):
        return clean(str(error))
    found = [
        f"{path}={value_text(value)}"
        for info in items_of(call.get("infos"))
        for path, value in flat(info)
        if path != "dialect"
    ]
    return " ".join(found) or " ".join(texts_of(call.get("logs"))[:1])


def compared_text(call: Record) -> str:
    """What a repeated call did differently, on one line."""
    changes = items_of(call.get("differs"))
    if not changes:
        return "the same"
    shown = "; ".join(change_text(change) for change in changes)
    return f"{len(changes)} differ{'s' if len(changes) == 1 else ''}: {shown}"


def compared_tone(call: Record) -> Tone:
    """How that is emphasised."""
    return "warn" if call.get("differs") else "dim"


def change_text(change: JsonValue) -> str:
    """One value that is not what it was: `field: before → after`."""
    values = map_of(change)
    before, after = _or_nothing(values.get("before")), _or_nothing(values.get("after"))
    return f"{clean(str(values.get('field')))}: {before} → {after}"


def _or_nothing(value: JsonValue) -> str:
    return "nothing" if value in (None, "") else value_text(value)


def sections_content(sections: Iterable[Section]) -> Content:
    """Sections with their headings, an empty line between two."""
    lines: list[Content] = []
    for title, body in sections:
        lines += [Content(""), Content.styled(title, "bold underline"), *body[:_MAX_LINES]]
        if len(body) > _MAX_LINES:
            lines.append(Content.styled(f"… {len(body) - _MAX_LINES} more lines", "dim"))
    return Content("\n").join(lines[1:])


def named(name: str, value: str, remark: str = "", tone: str = "") -> Content:
    """One value with its name, and what it means."""
    return Content.assemble(
        (name.ljust(_NAME_WIDTH), "bold"),
        (value, tone) if tone else value,
        (f"   {remark}" if remark else "", "dim"),
    )


def pairs(value: JsonValue) -> list[Content]:
    """Everything inside a value, a line each."""
    found = [(path, value_text(each)) for path, each in flat(value)]
    width = min(_LONGEST_NAME, max((len(path) for path, _ in found), default=0))
    return [
        Content.assemble((path.ljust(max(width, _NAME_WIDTH - 2)), "bold"), f"  {text}")
        for path, text in found
    ]


def change_lines(changes: JsonValue) -> list[Content]:
    """Before and after of each value that changed, and by whom if that is told."""
    lines: list[Content] = []
    for change in items_of(changes):
        values = map_of(change)
        by, call = values.get("plugin"), values.get("call")
        whose = f"   by {clean(str(by))}" if by else ""
        lines += [
            Content.assemble(
                (clean(str(values.get("field"))), "bold"),
                (whose if call is None else f"{whose} in call {value_text(call)}", "dim"),
            ),
            _side("before", "-", values.get("before"), "$text-error"),
            _side("after", "+", values.get("after"), "$text-success"),
        ]
    return lines


def _side(name: str, mark: str, value: JsonValue, tone: str) -> Content:
    text = _or_nothing(value)
    return Content.assemble(
        (f"  {mark} {name:<7}", "dim"), (text, "dim" if value is None else tone)
    )


# The parts of the inspector.


def facts_sections(call: Record) -> Iterator[Section]:
    """Which call it was, what it came to, and what its author should know."""
    yield "Call", list(_facts(call))
    if remarks := texts_of(call.get("remarks")):
        yield "Remarks", [Content.styled(f"! {remark}", "$text-warning") for remark in remarks]
    yield "What the plugin could read", list(_context(call))


def _context(call: Record) -> Iterator[Content]:
    for name, value in map_of(call.get("context")).items():
        remark = _EBPF_TYPES.get(whole(value) or 0, "") if name == "ebpf_type" else ""
        yield named(clean(name), value_text(value), remark)


def _facts(call: Record) -> Iterator[Content]:
    export, action = str(call.get("export")), str(call.get("action"))
    yield named("hook", clean(export), HOOKS.get(export, ""))
    tone = {"good": "$text-success", "bad": "$text-error"}.get(action_tone(call), "")
    meanings = ACTIONS | _CHECK_ACTIONS if export == "check_payload" else ACTIONS
    yield named("action", clean(action), meanings.get(action, ""), tone)
    returned = call.get("returned")
    yield named("returned", ABSENT if returned is None else value_text(returned))
    error = clean(str(call.get("error") or ""))
    if error:
        yield named("error", f"✗ {error}", tone="$text-error")
        if "deadline" in error:
            yield named("", _BLOCKED)
    yield named("time", _quantity(call, "elapsed_us", "us"))
    fuel = call.get("fuel")
    yield named("fuel", f"{fuel:,} instructions" if isinstance(fuel, int) else "not measured")
    yield named("memory", _quantity(call, "memory", "B"), "linear, after the call")


def _quantity(call: Record, name: str, unit: str) -> str:
    value = call.get(name)
    return number(value, unit) if isinstance(value, (int, float)) else ABSENT


def result_sections(call: Record) -> Iterator[Section]:
    """What the plugin sent: decoded, what it changes, and as bytes."""
    repeated = call.get("rerun_of")
    if repeated is not None:
        changes = change_lines(call.get("differs")) or [Content("the same")]
        yield f"Compared with call {value_text(repeated)}", changes
    yield _decoded(call)
    yield "Before and after", change_lines(call.get("merged")) or [Content("nothing changes")]
    sent = bytes_of(call.get("result_bytes"))
    yield (
        f"Result, {len(sent)} bytes",
        [Content(line) for line in hex_lines(sent)] or [Content("nothing was sent")],
    )


def _decoded(call: Record) -> Section:
    infos = items_of(call.get("infos"))
    dialect = str(call.get("dialect") or "")
    title = f"Decoded, dialect {clean(dialect)}" if dialect else "Decoded"
    lines: list[Content] = []
    for position, info in enumerate(infos, 1):
        if len(infos) > 1:
            lines.append(Content.styled(f"info {position} of {len(infos)}", "italic"))
        lines += pairs({name: value for name, value in map_of(info).items() if name != "dialect"})
    return title, lines or [Content("nothing")]


def output_sections(call: Record) -> Iterator[Section]:
    """What the plugin said, and where it was when it failed."""
    lines = texts_of(call.get("logs"))
    yield "Logs", _lines(line for line in lines if not line.startswith(_PREFIXES))
    yield "stdout and stderr (an agent discards them)", _lines(_without("stdout: ", lines))
    faults = [line for line in lines if line.startswith(("fault: ", "note: "))]
    if faults:
        yield "Host calls that failed or were stubbed", _lines(faults)
    if frames := list(_without("frame: ", lines)):
        yield "Backtrace", [Content.styled(frame, "$text-error") for frame in frames]
    yield "Host calls", _lines(texts_of(call.get("host_calls")))


def _without(prefix: str, lines: Iterable[str]) -> Iterator[str]:
    return (line.removeprefix(prefix) for line in lines if line.startswith(prefix))


def _lines(texts: Iterable[str]) -> list[Content]:
    return [Content(text) for text in texts] or [Content.styled("none", "dim")]


def decision_lines(message: Record | None) -> list[Content]:
    """How the protocol of a flow was found, payload by payload."""
    if message is None:
        return [Content.styled("no message of its flow is kept", "dim")]
    return _lines(texts_of(message.get("decision")))
