"""The running kernel's structure layouts, as definitions for the compiler.

Each feature of the probe needs some members; where the kernel lacks one of them, that feature
is compiled out and its name is reported, and everything else still works.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.probe.btf import Btf

_MEMBERS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "FD": (
        ("O_TASK_FILES", "task_struct", "files"),
        ("O_FILES_FDT", "files_struct", "fdt"),
        ("O_FDT_MAX_FDS", "fdtable", "max_fds"),
        ("O_FDT_FD", "fdtable", "fd"),
        ("O_FILE_INODE", "file", "f_inode"),
        ("O_FILE_DENTRY", "file", "f_path.dentry"),
        ("O_FILE_PRIVATE", "file", "private_data"),
        ("O_DENTRY_NAME", "dentry", "d_name.name"),
        ("O_INODE_MODE", "inode", "i_mode"),
        ("O_INODE_SB", "inode", "i_sb"),
        ("O_SB_MAGIC", "super_block", "s_magic"),
        ("O_SOCKET_SK", "socket", "sk"),
        ("O_SK_FAMILY", "sock", "__sk_common.skc_family"),
        ("O_SK_STATE", "sock", "__sk_common.skc_state"),
    ),
    "TUPLE": (
        ("O_SK_NUM", "sock", "__sk_common.skc_num"),
        ("O_SK_DPORT", "sock", "__sk_common.skc_dport"),
        ("O_SK_RCV_SADDR", "sock", "__sk_common.skc_rcv_saddr"),
        ("O_SK_DADDR", "sock", "__sk_common.skc_daddr"),
        ("O_INET_SPORT", "inet_sock", "inet_sport"),
    ),
    "IPV6": (
        ("O_SK_V6_RCV_SADDR", "sock", "__sk_common.skc_v6_rcv_saddr"),
        ("O_SK_V6_DADDR", "sock", "__sk_common.skc_v6_daddr"),
    ),
    "TCP": (("O_SK_PROTOCOL", "sock", "sk_protocol"),),
    "OWNER": (("O_SK_OWNED", "sock", "sk_lock.owned"),),
    "EXEC": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_ENV_END", "mm_struct", "env_end"),
    ),
    "EXIT": (
        ("O_TASK_FLAGS", "task_struct", "flags"),
        ("O_TASK_EXIT_CODE", "task_struct", "exit_code"),
        ("O_TASK_SIGNAL", "task_struct", "signal"),
        ("O_SIGNAL_LIVE", "signal_struct", "live.counter"),
    ),
    "COMPAT": (("O_TASK_STATUS", "task_struct", "thread_info.status"),),
}

FEATURES: dict[str, str] = {
    "FD": "file descriptors cannot be told apart",
    "TUPLE": "socket addresses cannot be read",
    "IPV6": "IPv6 addresses cannot be read",
    "TCP": "TCP sockets cannot be told from others",
    "OWNER": "TCP transitions carry no process",
    "EXEC": "a successful execve shows no file name",
    "EXIT": "exit codes cannot be read",
    "COMPAT": "32-bit system calls are taken for 64-bit ones",
}
"""What is lost where the kernel's type information lacks a feature's members."""

_TRACEPOINTS = {"TCP": "inet_sock_set_state", "EXIT": "sched_process_exit"}
"""Tracepoints that features need beside members."""

_GROUP_DEAD_PARAMETERS = 3
"""Of `btf_trace_sched_process_exit` where the tracepoint itself says whether the group died."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets of one kernel."""

    defines: dict[str, int]
    """Compiler definitions: `O_<member>` and `HAVE_<feature>`."""
    missing: dict[str, str]
    """Features this kernel cannot have, with the member that is absent."""


def read_layout(btf: Btf) -> Layout:
    """Look every member up.

    Raises:
        ProbeError: if the BTF contradicts itself.
    """
    defines: dict[str, int] = {}
    missing: dict[str, str] = {}
    for feature, members in _MEMBERS.items():
        try:
            offsets = {macro: btf.offset(structure, path) for macro, structure, path in members}
            if feature in _TRACEPOINTS:
                btf.parameters(f"btf_trace_{_TRACEPOINTS[feature]}")
        except KeyError as absent:
            missing[feature] = str(absent.args[0])
        else:
            defines |= offsets
            defines[f"HAVE_{feature}"] = 1
    defines["EXIT_TELLS_GROUP"] = int("EXIT" not in missing and _exit_tells_group(btf))
    return Layout(defines, missing)


def _exit_tells_group(btf: Btf) -> bool:
    return btf.parameters("btf_trace_sched_process_exit") >= _GROUP_DEAD_PARAMETERS
