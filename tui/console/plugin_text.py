"""What is told of one plugin: its state in a line, its figures in groups, its stderr."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import ABSENT, field_lines, uptime, value_text
from tui.console.widgets.columns import cell
from tui.console.wording import state_text, state_tone, utc_text

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Process",
        (
            "state",
            "error",
            "kill_in_s",
            "exit_code",
            "pid",
            "pgid",
            "comm",
            "plugin_kind",
            "version",
            "started",
            "restarts",
        ),
    ),
    ("Sends", ("tx_rate", "tx_speed", "tx_count", "tx_bytes", "dropped", "agent_dropped")),
    ("Tasks", ("last_task", "tasks_waiting", "rx_count", "rx_bytes", "rx_rate", "rx_speed")),
    ("Uses", ("cpu", "rss", "fds", "read_speed", "write_speed", "disk")),
)
_ELSEWHERE = frozenset({"kind", "seq", "ts", "plugin", "stderr", "last_stderr"})
"""Fields that are shown in other parts of the screen."""
_ONLY_IF_KNOWN = frozenset({"error", "kill_in_s", "exit_code"})
_NAME_WIDTH = 14
_VALUE_WIDTH = 20
_LEAST_HELP = 12


def headline(record: Record, now_ns: int | None) -> Content:
    """Its name and how it is.

    Args:
        record: What is known of it last.
        now_ns: What is now, in wall nanoseconds; None if it is not on the list any more.
    """
    name = clean(str(record.get("plugin")))
    if now_ns is None:
        gone = "is not on the list any more; this is what was last known"
        return Content.assemble((f" {name} ", "bold"), gone)
    tone = {"good": "$text-success", "warn": "$text-warning", "bad": "$text-error"}
    started, pid = record.get("started"), record.pid
    now_s = now_ns // 1_000_000_000
    return Content.assemble(
        (f" {name} ", "bold"),
        (state_text(record), tone.get(state_tone(record), "")),
        f"  pid {pid}" if pid is not None else "",
        f"  up {uptime(max(0, now_s - started))}" if isinstance(started, int) else "",
        f"  {clean(str(record.get('error') or ''))}",
    )


def figures_content(record: Record, width: int) -> Content:
    """The fields of a plugin in groups, with what they mean as far as the width allows."""
    lines: list[Content] = []
    named = {name for _title, names in _GROUPS for name in names}
    declared = {field.name for field in PLUGIN_STATE.all_fields()}
    others = tuple(sorted(declared - named - _ELSEWHERE))
    for title, names in (*_GROUPS, *((("Other", others),) if others else ())):
        lines.append(Content.styled(title, "bold underline"))
        lines += [
            _figure(record, name, width)
            for name in names
            if name not in _ONLY_IF_KNOWN or record.get(name) not in (None, "")
        ]
    return Content("\n").join(lines)


def _figure(record: Record, name: str, width: int) -> Content:
    field = PLUGIN_STATE.field(name)
    value = record.get(name)
    if name == "started":
        text = utc_text(value) or ABSENT
    else:
        text = value_text(value, field.unit) if field.type == "float" else _exact(value, field.unit)
    text = text.ljust(_VALUE_WIDTH)
    room = width - _NAME_WIDTH - len(text) - 1
    remark = f" {cell(field.help, room)}" if room >= _LEAST_HELP else ""
    return Content.assemble((name.ljust(_NAME_WIDTH), "bold"), text, (remark, "dim italic"))


def _exact(value: JsonValue, unit: str) -> str:
    return field_lines(value, unit)[0]


def stderr_lines(record: Record) -> Sequence[str]:
    """The last lines of stderr, oldest first, fit to be shown."""
    lines = record.get("stderr")
    if isinstance(lines, Sequence) and not isinstance(lines, str) and lines:
        return [clean(str(line)) for line in lines]
    last = record.get("last_stderr")
    return [clean(str(last))] if last else []
