"""What SQLite may do for a question: read, within bounds, and tell about tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

LARGEST = 64 << 20
"""Bytes of one value; more is no answer to read."""
_EVERY = 10_000
"""Steps of SQLite's machine between two looks at the clock: well below a millisecond."""
_FORBIDDEN = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
_SETTINGS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info"})
"""Pragmas that only tell."""


def guard(database: sqlite3.Connection, over: Callable[[], bool]) -> None:
    """Let a connection be used for questions only, each until `over` is true."""
    database.set_authorizer(None)
    database.execute("PRAGMA query_only = ON")
    database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST)
    database.set_authorizer(_allowed)
    database.set_progress_handler(over, _EVERY)


def unguard(database: sqlite3.Connection) -> None:
    """Let a connection of one's own be written to again."""
    database.set_progress_handler(None, 0)
    database.set_authorizer(None)
    database.execute("PRAGMA query_only = OFF")


def _allowed(action: int, first: str | None, second: str | None, *_: object) -> int:
    if action in _FORBIDDEN:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _SETTINGS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
