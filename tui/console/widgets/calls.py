"""Lists of calls of Wasm plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, TypeAlias

from engine.core.fields import JsonValue
from engine.core.kinds import WASM_RESULT
from engine.core.records import Record
from tui.console.call_text import action_tone, compared_text, compared_tone, outcome_text
from tui.console.format import ABSENT, value_text
from tui.console.values import map_of
from tui.console.widgets.columns import Column, SortKey, Tone, record_columns
from tui.console.widgets.stream import StreamView
from tui.console.widgets.table import TableView

ExportRow: TypeAlias = Mapping[str, JsonValue]
"""Figures of one export."""


def _number_column() -> Column[Record]:
    return Column("seq", "call", 7, lambda call: str(call.seq), "right", 2, help="Its number.")


def _repeats_column() -> Column[Record]:
    return Column(
        "rerun_of",
        "again",
        7,
        lambda call: value_text(call.get("rerun_of")) if call.get("rerun_of") else "",
        "right",
        3,
        help="Number of the call it repeats.",
    )


def _payload_column(priority: int) -> Column[Record]:
    def size(call: Record) -> str:
        shown = map_of(call.get("context")).get("payload_size")
        return ABSENT if shown is None else f"{shown}B"

    return Column(
        "payload_size", "payload", 8, size, "right", priority, help="Length of the payload."
    )


def _outcome_column(
    title: str, text: Callable[[Record], str], tone: Callable[[Record], Tone] | None = None
) -> Column[Record]:
    return Column(
        "outcome", title, 20, text, priority=1, flex=True, ample=60, tone=tone, help="What came."
    )


def _declared(export: int = 2, action: int = 2) -> dict[str, Column[Record]]:
    """Columns that lists of calls share, with the priority of two of them."""
    return {
        column.name: column
        for column in record_columns(
            WASM_RESULT,
            ["ts", "plugin", "export", "action", "elapsed_us"],
            titles={"ts": "time", "elapsed_us": "took", "export": "hook"},
            widths={"action": 6, "elapsed_us": 7, "plugin": 10},
            tones={"ts": lambda call: "dim", "action": action_tone},
            priorities={"ts": 7, "export": export, "action": action, "elapsed_us": 5},
        )
    }


class CallStream(StreamView):
    """Calls as they are made; each is dear to look at, so fewer of them are."""

    pulled: ClassVar[int] = 100

    def __init__(self, *, widget_id: str) -> None:
        declared = _declared()
        columns = (
            declared["ts"],
            _number_column(),
            _repeats_column(),
            declared["export"],
            declared["action"],
            declared["elapsed_us"],
            _payload_column(6),
            _outcome_column("result", outcome_text),
        )
        super().__init__(WASM_RESULT.name, columns, empty="no calls yet", widget_id=widget_id)


def call_table(*, widget_id: str, empty: str) -> TableView[Record]:
    """Calls made for one message, of any plugin."""
    declared = _declared()
    columns = (
        _number_column(),
        declared["plugin"],
        declared["export"],
        declared["action"],
        declared["elapsed_us"],
        _payload_column(6),
        _outcome_column("result", outcome_text),
    )
    return TableView(
        columns,
        lambda call: call.seq,
        kind=WASM_RESULT.name,
        empty=empty,
        widget_id=widget_id,
    )


def run_table(*, widget_id: str, empty: str) -> TableView[Record]:
    """Calls that repeat others, with what they did differently."""
    declared = _declared(export=6, action=5)
    columns = (
        declared["ts"],
        _number_column(),
        _repeats_column(),
        declared["export"],
        declared["action"],
        declared["elapsed_us"],
        _payload_column(4),
        _outcome_column("compared with that call", compared_text, compared_tone),
    )
    return TableView(
        columns,
        lambda call: call.seq,
        kind=WASM_RESULT.name,
        empty=empty,
        widget_id=widget_id,
    )


def export_table(*, widget_id: str) -> TableView[ExportRow]:
    """Figures of each export of a plugin."""

    def figure(name: str, title: str, width: int, unit: str, text: str) -> Column[ExportRow]:
        def sort_key(row: ExportRow) -> SortKey:
            value = row.get(name)
            return (False, value) if isinstance(value, (int, float)) else (True, "")

        return Column(
            name,
            title,
            width,
            lambda row: value_text(row.get(name), unit),
            "right",
            2,
            tone=(lambda row: "bad" if row.get(name) else "")
            if name in ("traps", "rejected")
            else None,
            sort_key=sort_key,
            help=text,
        )

    columns = (
        Column[ExportRow]("export", "export", 17, lambda row: value_text(row.get("export"))),
        figure("calls", "calls", 7, "", "Calls made."),
        figure("p50_us", "p50", 7, "us", "Median time of a call."),
        figure("p99_us", "p99", 7, "us", "99th percentile of a call."),
        figure("traps", "traps", 5, "", "Calls that did not return."),
        figure("rejected", "refused", 7, "", "Results that were refused."),
        figure("fuel", "fuel", 11, "", "Instructions of the last call, where they are measured."),
    )
    return TableView(
        columns, lambda row: str(row.get("export")), empty="not called yet", widget_id=widget_id
    )
