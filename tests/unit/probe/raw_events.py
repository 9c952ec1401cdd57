"""Raw events as the programs write them, for tests."""

from __future__ import annotations

from engine.probe.abi import EVENT, NO_FD
from engine.probe.calls import Category
from engine.probe.catalogue import resolve


def raw_event(
    event: str,
    *,
    ts: int = 1_000,
    category: Category = Category.FILE,
    result: int = 0,
    args: tuple[int, int, int, int] = (0, 0, 0, 0),
    flags: int = 0,
    latency: int = 0,
    comm: bytes = b"comm",
    payload: bytes = b"",
    row: int | None = None,
) -> bytes:
    """One event of process 7, thread 8."""
    number = resolve(event)[0].event.type_id if row is None else row
    header = EVENT.pack(
        ts, latency, result, *args, 7, 8, 1, 2, NO_FD, len(payload),
        number, 3, category, 0, flags, comm,
    )  # fmt: skip
    return header + payload
