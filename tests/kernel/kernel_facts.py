"""What a process holds in the kernel, read where the kernel tells it."""

from __future__ import annotations

from pathlib import Path

from engine.probe.bpfsys import link_ids, program_ids


def attached_tracepoints(pid: int | str = "self") -> list[str]:
    """Raw tracepoints a process has programs attached to."""
    return sorted(_values(pid, "tp_name"))


def loaded_programs(pid: int | str = "self") -> set[int]:
    """Ids of the programs a process holds a descriptor of."""
    return {int(value) for value in _values(pid, "prog_id")}


def still_loaded(programs: set[int]) -> set[int]:
    """Which of these the kernel still has."""
    return programs & set(program_ids())


def attachments(pid: int | str = "self") -> set[int]:
    """Ids of the attachments a process holds a descriptor of."""
    return {int(value) for value in _values(pid, "link_id")}


def still_attached(links: set[int]) -> set[int]:
    """Which of these the kernel still has."""
    return links & set(link_ids())


def _values(pid: int | str, name: str) -> list[str]:
    values = []
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            lines = entry.read_text().splitlines()
        except FileNotFoundError:
            continue
        values += [line.partition(":")[2].strip() for line in lines if line.startswith(f"{name}:")]
    return values
