"""Raw events as the programs write them, for tests."""

from __future__ import annotations

from engine.probe.abi import EVENT, NO_FD, SECTION, SectionKind
from engine.probe.calls import Category
from engine.probe.catalogue import resolve


def section(kind: SectionKind, data: bytes, argument: int = 0) -> bytes:
    """Captured memory as it follows an event."""
    return SECTION.pack(kind, argument, len(data)) + data + bytes(-len(data) % 4)


def raw_event(
    event: str,
    *,
    ts: int = 1_000,
    category: Category = Category.FILE,
    result: int = 0,
    args: tuple[int, ...] = (0, 0, 0, 0, 0, 0),
    cgroup: int = 0,
    flags: int = 0,
    latency: int = 0,
    comm: bytes = b"comm",
    payload: bytes = b"",
    row: int | None = None,
    fd: int = NO_FD,
    fd_type: int = 0,
) -> bytes:
    """One event of process 7, thread 8."""
    number = resolve(event)[0].event.row if row is None else row
    header = EVENT.pack(
        ts, latency, result, *args, 7, 8, 1, 2, fd, len(payload), cgroup,
        number, 3, category, fd_type, flags, comm,
    )  # fmt: skip
    return header + payload
