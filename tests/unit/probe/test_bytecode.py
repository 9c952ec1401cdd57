"""The text form of compiled programs; what the kernel makes of it is tested with the kernel."""

from __future__ import annotations

import base64
import json
import mmap
import os
import resource
from pathlib import Path

import pytest

from engine.core.errors import ProbeError, RequirementError
from engine.probe import bytecode, preflight

R0_IS_ZERO = bytecode.INSTRUCTION.pack(0xB7, 0, 0, 0)
RETURN = bytecode.INSTRUCTION.pack(0x95, 0, 0, 0)
ARRAY = ["numbers", 2, 4, 8, 1, 0]
RINGBUF = 27


def load_map(place: int) -> bytes:
    """r1 = the map of that place."""
    return bytecode.INSTRUCTION.pack(0x18, 0x11, 0, place) + bytecode.INSTRUCTION.pack(0, 0, 0, 0)


def text(*maps: list[object], **programs: bytes) -> bytes:
    encoded = {name: base64.b64encode(code).decode() for name, code in programs.items()}
    return json.dumps({"maps": maps, "programs": encoded}).encode()


def test_maps_and_programs_come_back_as_they_were_written() -> None:
    code = load_map(0) + R0_IS_ZERO + RETURN
    read = bytecode.parse(text(ARRAY, one=code))
    assert read.maps == (bytecode.MapShape("numbers", 2, 4, 8, 1, 0),)
    assert dict(read.programs) == {"one": code}


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"no json",
        b"[]",
        b'{"maps": []}',
        b'{"maps": [["short"]], "programs": {}}',
        b'{"maps": [], "programs": {"one": "*"}}',
        b'{"maps": [], "programs": ["one"]}',
        text(one=RETURN[:-1]),
        text(one=load_map(0) + RETURN),
        text(ARRAY, one=load_map(1) + RETURN),
        text(ARRAY, one=load_map(-1) + RETURN),
    ],
)
def test_what_is_no_text_form_is_refused(wrong: bytes) -> None:
    with pytest.raises(ValueError, match=r"map|not compiled|instruction|JSON|Expecting"):
        bytecode.parse(wrong)


@pytest.mark.kernel
class TestLoading:
    @pytest.fixture(autouse=True)
    def right(self) -> None:
        try:
            preflight.check()
        except RequirementError as missing:
            pytest.skip(str(missing))

    def test_a_map_is_as_large_as_is_asked_for(self) -> None:
        page = mmap.PAGESIZE
        programs = bytecode.parse(text(["bytes", RINGBUF, 0, 0, page, 0], ["other", 2, 4, 8, 1, 0]))
        loaded = bytecode.load(programs, {"bytes": 16 * page})
        entries = {
            name: Path(f"/proc/self/fdinfo/{descriptor}").read_text().split("max_entries:")[1]
            for name, descriptor in loaded.maps.items()
        }
        loaded.close()
        assert int(entries["bytes"].split()[0]) == 16 * page
        assert int(entries["other"].split()[0]) == 1

    def test_each_program_is_loaded_on_its_own(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        good, bad = load_map(0) + R0_IS_ZERO + RETURN, RETURN
        loaded = bytecode.load(bytecode.parse(text(ARRAY, good=good, bad=bad)))
        assert set(loaded.maps) == {"numbers"}
        assert set(loaded.programs) == {"good"}
        assert "R0 !read_ok" in loaded.refused["bad"]
        loaded.close()
        loaded.close()
        assert set(os.listdir("/proc/self/fd")) == before

    def test_a_map_the_kernel_does_not_make_leaves_nothing_behind(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        with pytest.raises(ProbeError, match="cannot make the kernel map wrong"):
            bytecode.load(bytecode.parse(text(ARRAY, ["wrong", 2, 3, 8, 1, 0])))
        assert set(os.listdir("/proc/self/fd")) == before

    def test_where_no_more_files_may_be_open_the_limit_is_named(self) -> None:
        before = set(os.listdir("/proc/self/fd"))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        many = {f"good{number}": R0_IS_ZERO + RETURN for number in range(20)}
        programs = bytecode.parse(text(**many))
        os.close(lowest := os.dup(0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 10, hard))
        try:
            with pytest.raises(ProbeError, match=r"Too many open files.*ulimit -n"):
                bytecode.load(programs)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert set(os.listdir("/proc/self/fd")) == before
