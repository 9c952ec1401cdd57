from __future__ import annotations

from engine.probe.btf import Btf
from engine.probe.features import FEATURES
from engine.probe.layout import read_layout
from tests.unit.probe.btf_blob import STRUCT, TYPEDEF, BtfBuilder


def exit_only(parameters: int) -> Btf:
    """A kernel that has what the end of a process needs, and nothing else."""
    build = BtfBuilder()
    word = build.integer("int", 4)
    pointer = build.pointer(word)
    live = build.compound(STRUCT, "", [("counter", word, 0)])
    build.compound(STRUCT, "signal_struct", [("live", live, 64)])
    build.compound(
        STRUCT,
        "task_struct",
        [("flags", word, 32), ("exit_code", word, 64), ("signal", pointer, 128)],
    )
    trace = build.pointer(build.prototype([word] * parameters))
    build.wrapper(TYPEDEF, "btf_trace_sched_process_exit", trace)
    return Btf(build.blob())


def test_a_feature_whose_members_are_there_is_defined() -> None:
    layout = read_layout(exit_only(3))
    assert layout.defines["HAVE_EXIT"] == 1
    assert layout.defines["O_TASK_FLAGS"] == 4
    assert layout.defines["O_TASK_EXIT_CODE"] == 8
    assert layout.defines["O_TASK_SIGNAL"] == 16
    assert layout.defines["O_SIGNAL_LIVE"] == 8


def test_a_feature_that_lacks_a_member_is_left_out_and_named() -> None:
    layout = read_layout(exit_only(3))
    assert set(layout.missing) == set(FEATURES) - {"EXIT"}
    assert layout.missing["FD"] == "task_struct.files"
    assert not any(name in layout.defines for name in ("HAVE_FD", "O_TASK_FILES", "O_FDT_FD"))


def test_a_feature_whose_tracepoint_is_absent_is_left_out() -> None:
    build = BtfBuilder()
    word = build.integer("int", 4)
    build.compound(STRUCT, "sock", [("sk_protocol", word, 0)])
    layout = read_layout(Btf(build.blob()))
    assert layout.missing["TCP"] == "btf_trace_inet_sock_set_state"


def paths(parent_bits: int) -> Btf:
    """A kernel that has what the paths of open files need, and nothing else."""
    build = BtfBuilder()
    word = build.integer("int", 8)
    build.compound(STRUCT, "file", [("f_path", word, 512)])
    name = build.compound(STRUCT, "", [("name", word, 64)])
    hashed = build.compound(STRUCT, "", [("pprev", word, 64)])
    build.compound(
        STRUCT,
        "dentry",
        [("d_hash", hashed, 64), ("d_parent", word, parent_bits), ("d_name", name, 256)],
    )
    mount = build.compound(STRUCT, "", [("mnt_root", word, 0)])
    build.compound(
        STRUCT,
        "mount",
        [("mnt_parent", word, 128), ("mnt_mountpoint", word, 192), ("mnt", mount, 256)],
    )
    return Btf(build.blob())


def test_members_that_are_read_together_have_a_span() -> None:
    defines = read_layout(paths(192)).defines
    assert (defines["SPAN_DENTRY"], defines["SPAN_MOUNT"]) == (16, 16)
    assert defines["SPAN_DENTRY_SIZE"] >= defines["O_DENTRY_NAME"] + 8 - 16
    assert defines["SPAN_MOUNT_SIZE"] >= defines["O_MOUNT_ROOT"] + 8 - 16
    assert defines["SPAN_DENTRY_SIZE"] % 8 == defines["SPAN_MOUNT_SIZE"] % 8 == 0


def test_members_that_lie_too_far_apart_are_as_good_as_absent() -> None:
    layout = read_layout(paths(192 * 8))
    assert "HAVE_PATH" not in layout.defines
    assert layout.missing["PATH"] == "dentry of the usual layout"


def test_the_tracepoint_tells_of_the_group_only_where_it_has_that_argument() -> None:
    assert read_layout(exit_only(3)).defines["EXIT_TELLS_GROUP"] == 1
    assert read_layout(exit_only(2)).defines["EXIT_TELLS_GROUP"] == 0
