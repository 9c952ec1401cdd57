"""Which process owns which port: the rows of that, those that came and went, their columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from engine.core.kinds import PROCESS
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.panes.captures import attached_text, attached_tone, captured_bytes, cost_text
from tui.console.widgets.columns import Column, Remark, Tone, lift, record_columns
from tui.console.widgets.table import TableView

FLASH_NS = 4_000_000_000
"""How long a new row keeps its `+` and a gone one stays with its `-`."""

_CAPTURED_WIDTH = 18

PortKey: TypeAlias = tuple[int, str, str, object]

_MARK_TONES: dict[str, Tone] = {"+": "good", "-": "bad"}


@dataclass(frozen=True, slots=True)
class PortRow:
    """One socket of one process."""

    port: int
    proto: str
    address: str
    record: Record
    mark: str = ""
    """`+` just appeared, `-` just went."""
    capture: Record | None = None
    """What became of its traffic, if it is or was captured."""

    @property
    def key(self) -> PortKey:
        """What identifies the row: the socket and the one life of the process."""
        return (self.port, self.proto, self.address, self.record.key())

    @property
    def order(self) -> tuple[int, str, str, int]:
        """Their own order: by port."""
        return (self.port, self.proto, self.address, self.record.pid or 0)


def port_rows(record: Record, capture: Record | None = None) -> list[PortRow]:
    """One row for each port of a process; a process without one still gets a row."""
    ports = record.get("ports")
    mark = "-" if record.get("change") == "deleted" else ""
    rows: list[PortRow] = []
    for socket in ports if isinstance(ports, Sequence) and not isinstance(ports, str) else ():
        if isinstance(socket, Mapping):
            port = socket.get("port")
            rows.append(
                PortRow(
                    port if isinstance(port, int) else 0,
                    clean(str(socket.get("proto") or "")),
                    clean(str(socket.get("address") or "")),
                    record,
                    mark,
                    capture,
                )
            )
    return rows or [PortRow(0, "", "", record, mark, capture)]


class Arrivals:
    """Notices which rows appeared and which went between two pictures.

    Rows of the first picture that holds any were there before anybody looked.
    """

    def __init__(self) -> None:
        self._known: dict[PortKey, PortRow] = {}
        self._born: dict[PortKey, int] = {}
        self._gone: dict[PortKey, tuple[PortRow, int]] = {}

    def marked(self, rows: Sequence[PortRow], now_ns: int) -> list[PortRow]:
        """The rows with their marks, and those that went a moment ago."""
        present = {row.key: row for row in rows}
        if self._known:
            self._born |= dict.fromkeys(present.keys() - self._known.keys(), now_ns)
            self._gone |= {
                key: (replace(self._known[key], mark="-"), now_ns)
                for key in self._known.keys() - present.keys()
            }
        self._known = present
        self._born = {key: born for key, born in self._born.items() if now_ns - born < FLASH_NS}
        self._gone = {
            key: gone
            for key, gone in self._gone.items()
            if key not in present and now_ns - gone[1] < FLASH_NS
        }
        shown = [
            replace(row, mark="+") if key in self._born and not row.mark else row
            for key, row in present.items()
        ]
        return sorted(
            [*shown, *(row for row, _at in self._gone.values())], key=lambda row: row.order
        )


def _record_of(row: PortRow) -> Record:
    return row.record


def port_columns() -> tuple[Column[PortRow], ...]:
    """The columns of such rows."""
    processes = _process_columns()
    return (*_socket_columns(), *processes[:5], *_capture_columns(), *processes[5:])


def _socket_columns() -> tuple[Column[PortRow], ...]:
    """Whether the row came or went, and what of the socket identifies it."""
    return (
        Column(
            "mark",
            "",
            1,
            lambda row: row.mark,
            priority=1,
            tone=lambda row: _MARK_TONES.get(row.mark, ""),
            help="+ the row appeared a moment ago, - it went.",
        ),
        Column(
            "port",
            "port",
            5,
            lambda row: str(row.port or "-"),
            "right",
            1,
            tone=lambda row: "strong",
            sort_key=lambda row: (False, float(row.port)),
            help="Port it listens on or is bound to.",
        ),
        Column(
            "proto",
            "prot",
            4,
            lambda row: row.proto,
            priority=1,
            sort_key=lambda row: (True, row.proto),
            help="tcp or udp.",
        ),
        Column(
            "address",
            "address",
            15,
            lambda row: row.address,
            priority=2,
            sort_key=lambda row: (True, row.address),
            help="Address the socket is bound to.",
        ),
    )


def _process_columns() -> list[Column[PortRow]]:
    """Whose socket it is."""
    columns = record_columns(
        PROCESS,
        ["pid", "comm", "language", "container_id", "criterion", "user", "exe", "argv"],
        titles={"comm": "process", "container_id": "container", "language": "lang"},
        widths={"comm": 12, "argv": 16, "language": 7, "criterion": 14},
        priorities={"pid": 1, "argv": 3, "exe": 8, "language": 2, "container_id": 6},
        flex="argv",
        ample=30,
    )
    return [lift(column, _record_of) for column in columns]


def _capture_columns() -> tuple[Column[PortRow], ...]:
    """What becomes of the traffic."""
    return (
        Column(
            "attached",
            "att",
            3,
            lambda row: attached_text(row.record),
            priority=4,
            tone=lambda row: attached_tone(row.record),
            sort_key=lambda row: (True, attached_text(row.record)),
            help="Whether its traffic is captured; ✗ it was asked for and refused.",
        ),
        Column(
            "captured",
            "captured",
            _CAPTURED_WIDTH,
            lambda row: cost_text(row.record, row.capture),
            priority=4,
            ample=24,
            tone=lambda row: "warn" if row.capture and row.capture.get("dropped") else "",
            sort_key=lambda row: captured_bytes(row.capture),
            help="Messages captured and their bytes, those lost, the time boxscope spends on one.",
        ),
    )


def port_table(
    *, empty: str, remark: Callable[[PortRow], Remark | None] | None = None
) -> TableView[PortRow]:
    """A table of such rows, as `TableView` describes it."""
    return TableView(
        port_columns(),
        key=lambda row: row.key,
        kind=PROCESS.name,
        empty=empty,
        remark=remark,
        widget_id="ports",
    )
