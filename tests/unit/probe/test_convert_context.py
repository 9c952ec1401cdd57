"""What a record tells beyond the call: where it comes from, its container, its descriptor."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.fields import JsonValue
from engine.probe.abi import EventFlag, SectionKind
from engine.probe.containers import Containers
from engine.probe.convert import Converter
from tests.unit.probe.raw_events import raw_event, section

ID = "0123456789ab" + "c" * 52


def shown(raw: bytes, converter: Converter | None = None) -> dict[str, JsonValue]:
    return (converter or Converter()).convert(memoryview(raw), 0, len(raw), 500).as_json()


@pytest.mark.parametrize(
    ("event", "source", "type_id"),
    [
        ("syscall_enter-read", "syscall_enter", 6),
        ("syscall_exit-read", "syscall_exit", 7),
        ("tracepoint-procexit", "tracepoint", 186),
    ],
)
def test_the_source_and_kindlings_type_are_told(event: str, source: str, type_id: int) -> None:
    record = shown(raw_event(event))
    assert (record["source"], record["type_id"]) == (source, type_id)


def test_the_monotonic_time_stands_beside_the_wall_time() -> None:
    record = shown(raw_event("syscall_exit-read", ts=1_000))
    assert (record["mono_ns"], record["ts"]) == (1_000, "1970-01-01T00:00:00.000001500Z")


def test_an_event_without_a_descriptor_tells_nothing_of_one() -> None:
    record = shown(raw_event("syscall_exit-getuid"))
    told = [record[name] for name in record if name.startswith("fd")]
    assert told == [None] * 7


def test_the_container_is_that_of_the_cgroup(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").touch()
    folder = tmp_path / f"docker-{ID}.scope"
    folder.mkdir()
    converter = Converter(Containers(str(tmp_path), str(tmp_path)))
    inside = raw_event("syscall_exit-read", cgroup=folder.stat().st_ino)
    assert shown(inside, converter)["container_id"] == "0123456789ab"
    assert shown(inside)["container_id"] is None
    outside = raw_event("syscall_exit-read", cgroup=tmp_path.stat().st_ino)
    assert shown(outside, converter)["container_id"] is None
    nobodys = raw_event("syscall_exit-read", cgroup=folder.stat().st_ino, flags=EventFlag.NO_OWNER)
    assert shown(nobodys, converter)["container_id"] is None


@pytest.mark.parametrize("filler", [0, 200])
def test_the_descriptor_is_told_beside_other_sections(filler: int) -> None:
    """However much else was captured."""
    payload = section(SectionKind.FD_PATH, b"zero\0dev\0")
    payload += section(SectionKind.DATA, bytes(filler))
    raw = raw_event("syscall_exit-read", fd=3, fd_type=1, payload=payload)
    for _ in range(2):
        record = shown(raw)
        assert (record["fd"], record["fd_type"], record["fd_name"]) == (3, "file", "/dev/zero")
