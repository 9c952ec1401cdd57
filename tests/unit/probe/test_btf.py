from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import ProbeError
from engine.probe.btf import VMLINUX, Btf
from tests.unit.probe.btf_blob import CONST, STRUCT, TYPEDEF, UNION, VOLATILE, BtfBuilder


def kernel_like() -> bytes:
    """A little of everything that stands between a structure and its member."""
    build = BtfBuilder()
    u8, u32, u64 = (build.integer(name, size) for name, size in (("u8", 1), ("u32", 4), ("u64", 8)))
    build.enumeration("colour", ["RED", "GREEN"])
    build.array(u8, 16)
    lock = build.compound(STRUCT, "", [("slock", u32, 0), ("owned", u32, 32)])
    lock_t = build.wrapper(TYPEDEF, "lock_t", lock)
    name = build.compound(STRUCT, "qstr", [("hash", u32, 0), ("name", build.pointer(u8), 64)])
    either = build.compound(UNION, "", [("__d_name", name, 0), ("d_name", name, 0)])
    common = build.compound(STRUCT, "common", [("family", u32, 0), ("port", u32, 32)])
    build.compound(
        STRUCT,
        "sock",
        [
            ("__common", build.wrapper(VOLATILE, "", build.wrapper(CONST, "", common)), 0),
            ("lock", lock_t, 128),
            ("", either, 256),
            ("self", build.pointer(u64), 512),
        ],
    )
    build.compound(
        STRUCT, "packed", [("low", u8, 3 << 24), ("high", u8, 5 << 24 | 11)], bitfields=True
    )
    trace = build.prototype([u64, u64, u8])
    build.wrapper(TYPEDEF, "btf_trace_exit", build.pointer(trace))
    build.wrapper(TYPEDEF, "not_a_function", u64)
    return build.blob()


BLOB = kernel_like()

OFFSETS = [
    ("common", "port", 4),
    ("sock", "__common.family", 0),
    ("sock", "__common.port", 4),
    ("sock", "lock.owned", 20),
    ("sock", "d_name.name", 40),
    ("sock", "__d_name.hash", 32),
    ("sock", "self", 64),
    ("packed", "high", 1),
]


@pytest.mark.parametrize(("structure", "path", "offset"), OFFSETS)
def test_offset_goes_through_typedefs_qualifiers_and_unnamed_members(
    structure: str, path: str, offset: int
) -> None:
    assert Btf(BLOB).offset(structure, path) == offset


@pytest.mark.parametrize(
    ("structure", "path"),
    [
        ("nothing", "port"),
        ("sock", "nothing"),
        ("sock", "lock.nothing"),
        ("sock", "self.family"),  # a pointer is not gone through
        ("sock", "port"),  # a named member hides its own
        ("u64", "port"),  # not a struct
    ],
)
def test_a_member_that_is_not_there_is_a_key_error_naming_it(structure: str, path: str) -> None:
    with pytest.raises(KeyError, match=f"{structure}.{path}"):
        Btf(BLOB).offset(structure, path)


def test_parameters_counts_those_of_the_function_behind_a_typedef() -> None:
    assert Btf(BLOB).parameters("btf_trace_exit") == 3
    for absent in ("btf_trace_nothing", "not_a_function"):
        with pytest.raises(KeyError):
            Btf(BLOB).parameters(absent)


@pytest.mark.fuzz("kernel type information")
@given(st.integers(0, len(BLOB) - 1))
def test_a_blob_cut_short_is_refused(length: int) -> None:
    with pytest.raises(ProbeError):
        Btf(BLOB[:length])


@pytest.mark.fuzz("kernel type information")
@given(st.integers(24, len(BLOB) - 1), st.integers(0, 255))
def test_a_damaged_blob_is_an_answer_a_key_error_or_a_probe_error(at: int, value: int) -> None:
    damaged = BLOB[:at] + bytes([value]) + BLOB[at + 1 :]
    for structure, path, _ in OFFSETS:
        try:
            assert Btf(damaged).offset(structure, path) >= 0
        except (KeyError, ProbeError):
            continue


def test_typedefs_in_a_ring_are_refused() -> None:
    build = BtfBuilder()
    build.wrapper(TYPEDEF, "one", 2)
    build.wrapper(TYPEDEF, "other", 1)
    with pytest.raises(ProbeError, match="contradicts itself"):
        Btf(build.blob()).parameters("one")


def test_an_unknown_kind_of_type_is_refused() -> None:
    build = BtfBuilder()
    build.raw(25 << 24)
    with pytest.raises(ProbeError, match="new form"):
        Btf(build.blob())


def test_another_byte_order_is_refused() -> None:
    with pytest.raises(ProbeError, match="byte order"):
        Btf(BLOB[1::-1] + BLOB[2:])


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProbeError, match="No such file"):
        Btf.load(tmp_path / "vmlinux")


@pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel has no BTF")
def test_the_running_kernels_own_btf_is_read() -> None:
    btf = Btf.load()
    assert btf.offset("task_struct", "tgid") > btf.offset("task_struct", "flags") > 0
    assert btf.offset("sock", "__sk_common.skc_daddr") == 0
