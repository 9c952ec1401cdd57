"""The recording file: one SQLite table a record kind, made of the kinds' declarations.

| table | holds |
| --- | --- |
| `meta` | facts of the file as name and value: `host`, `began_ns`, `ended_ns`, `options`, ... |
| a kind's name | its records: `seq` (key), `ts_ns`, `pid`, `comm`, then its own fields |
| `context` | what was subscribed, filtered, attached, ...: name and value (JSON) from a moment on |
| `marks` | each half second the last `seq` of every kind: for seeking and pruning |
| `losses` | records of a kind that could not be written, with the reason |
| `pruned` | how many records of a kind were written and let go again for the bounds |

Lists and maps are JSON text, truth values 0 and 1, absent values NULL. A whole number beyond 63
bits, which SQLite cannot hold, is text with a `u` before it. Views for people stand in
`engine.recording.views`.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from engine.core.fields import Field, JsonValue, RecordKind
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.core.sanitise import clean

VERSION = 1
"""Version of this layout, in `meta`; a reader refuses a newer one and says so."""
APPLICATION_ID = 0x626F7873
"""`boxs`, in the header of the file, so that `file` and readers know what it is."""

GONE = {"process": "change = 'deleted'", "plugin_state": "state = 'unloaded'"}
"""When a record of a table says that its row is no more."""

_MOST = 2**63
_LONGEST = 1 << 24
"""Characters of a text that are read; more than any record has."""
_TYPES = {"int": "INTEGER", "float": "REAL", "bool": "INTEGER"}
_PLAIN = {"int": int, "float": float}
"""Of which type a value is that can be taken as it is."""
_COMMON = ("seq", "ts_ns", "pid", "comm")

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

Stored = int | float | str | None


def create_tables(database: sqlite3.Connection) -> None:
    """Lay out an empty file."""
    database.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    database.execute(f"PRAGMA user_version = {VERSION}")
    database.execute("CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID")
    database.execute(
        "CREATE TABLE marks (ts_ns INTEGER, kind TEXT, seq INTEGER, PRIMARY KEY (kind, ts_ns)) "
        "WITHOUT ROWID"
    )
    database.execute("CREATE TABLE context (ts_ns INTEGER, name TEXT, value TEXT)")
    database.execute("CREATE TABLE losses (ts_ns INTEGER, kind TEXT, number INTEGER, reason TEXT)")
    database.execute("CREATE TABLE pruned (kind TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID")
    for kind in KINDS.values():
        own = ", ".join(f'"{field.name}" {_type(field)}' for field in kind.fields)
        database.execute(
            f'CREATE TABLE "{kind.name}" '
            f"(seq INTEGER PRIMARY KEY, ts_ns INTEGER, pid INTEGER, comm TEXT, {own})"
        )


def _type(field: Field) -> str:
    return _TYPES.get(field.type, "TEXT")


def insertion(kind: RecordKind) -> str:
    """The statement that writes a record; its values come from `row_of`."""
    names = ", ".join(f'"{name}"' for name in (*_COMMON, *kind.index))
    marks = ", ".join("?" * (len(_COMMON) + len(kind.fields)))
    return f'INSERT OR REPLACE INTO "{kind.name}" ({names}) VALUES ({marks})'


def write_rows(database: sqlite3.Connection, kind: RecordKind, records: Sequence[Record]) -> None:
    """Write records of a kind."""
    structured = [at for at, field in enumerate(kind.fields) if field.type in ("list", "map")]
    try:
        database.executemany(insertion(kind), [_quick_row(each, structured) for each in records])
    except OverflowError:
        # A number that SQLite cannot hold; what has been written of them is written again.
        database.executemany(insertion(kind), map(row_of, records))


def _quick_row(record: Record, structured: Sequence[int]) -> tuple[Stored, ...]:
    """A record as it is stored, if no number in it is too large: most of what is written."""
    values: list[Any] = [record.seq, record.ts_ns, record.pid, record.comm, *record.values]
    for at in structured:
        value = values[at + len(_COMMON)]
        if value is not None:
            values[at + len(_COMMON)] = _encode(value)
    return tuple(values)


def row_of(record: Record) -> tuple[Stored, ...]:
    """A record as it is stored."""
    return (
        record.seq,
        record.ts_ns,
        record.pid,
        record.comm,
        *map(_stored, record.values),
    )


def _stored(value: JsonValue) -> Stored:
    match value:
        case None | str() | float():
            return value
        case bool():
            return int(value)
        case int():
            return value if -_MOST <= value < _MOST else f"u{value}"
    return _encode(value)


class RowReader:
    """Makes records of a table's rows.

    Args:
        database: A recording.
        kind: Whose table; fields the file does not have are None, others are left out.
    """

    def __init__(self, database: sqlite3.Connection, kind: RecordKind) -> None:
        self._kind = kind
        present = _columns_of(database, kind.name)
        wanted = [field if field.name in present else None for field in kind.fields]
        self.columns = ", ".join(
            [*_COMMON, *(f'"{field.name}"' if field else "NULL" for field in wanted)]
        )
        """What to select, in the order `record` takes it."""
        self._plain = tuple(_PLAIN.get(field.type) for field in kind.fields)

    def record(self, row: tuple[Stored, ...]) -> Record:
        """The record of a row.

        Raises:
            ValueError: a value in it is damaged.
        """
        seq, ts_ns, pid, comm, *own = row
        if not isinstance(seq, int) or not isinstance(ts_ns, int):
            raise ValueError(f"a {self._kind.name} without a number or a time")
        values = tuple(
            None if value is None else value if type(value) is plain else self._value(value, at)
            for at, (value, plain) in enumerate(zip(own, self._plain, strict=True))
        )
        return Record(
            self._kind.name,
            seq,
            ts_ns,
            pid if isinstance(pid, int) else None,
            clean(comm, _LONGEST) if isinstance(comm, str) else None,
            values,
        )

    def _value(self, value: object, position: int) -> JsonValue:
        """What a value stands for; it may be of any type, whatever the column's is."""
        field = self._kind.fields[position]
        if isinstance(value, str):
            if field.type == "text":
                return clean(value, _LONGEST)
            if field.type in ("list", "map"):
                return cleaned(json.loads(value))
            if field.type == "int":
                return int(value.removeprefix("u"))
        elif isinstance(value, int) and field.type in ("bool", "float"):
            return bool(value) if field.type == "bool" else value
        raise ValueError(f"{field.name} of a {self._kind.name} is no {field.type}")


def cleaned(value: JsonValue) -> JsonValue:
    """A value with its texts made safe to show: a recording may come from anybody."""
    match value:
        case str():
            return clean(value, _LONGEST)
        case Mapping():
            return {clean(key, _LONGEST): cleaned(item) for key, item in value.items()}
        case list():
            return [cleaned(item) for item in value]
    return value


def _columns_of(database: sqlite3.Connection, table: str) -> frozenset[str]:
    return frozenset(row[1] for row in database.execute(f'PRAGMA table_info("{table}")'))


def write_meta(database: sqlite3.Connection, facts: Mapping[str, JsonValue]) -> None:
    """Write facts about the file; text as it is, anything else as JSON."""
    database.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [
            (name, value if isinstance(value, str) else json.dumps(value))
            for name, value in facts.items()
        ],
    )


def read_meta(database: sqlite3.Connection) -> dict[str, str]:
    """The facts about a file, as text."""
    return dict(database.execute("SELECT name, value FROM meta"))


def kinds_in(database: sqlite3.Connection) -> tuple[str, ...]:
    """Record kinds that the file has a table of and this program knows."""
    tables: Iterable[tuple[str]] = database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    )
    present = {name for (name,) in tables}
    return tuple(name for name in KINDS if name in present)
