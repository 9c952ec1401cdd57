"""The probe's features: what each needs of the kernel's structures, and what is lost without."""

from __future__ import annotations

FEATURES: dict[str, str] = {
    "FD": "file descriptors cannot be told apart",
    "TUPLE": "socket addresses cannot be read",
    "IPV6": "IPv6 addresses cannot be read",
    "SOCKET": "what a socket is cannot be read",
    "ROLE": "accepted connections cannot be told from made ones",
    "UNIX": "the names of unix sockets cannot be read",
    "PATH": "the paths of open files cannot be read",
    "INODE": "the inodes of pipes and sockets cannot be read",
    "NAMESPACE": "the kinds of namespaces cannot be told apart",
    "TCP": "TCP sockets cannot be told from others",
    "OWNER": "sockets are attributed to processes only after they sent or received",
    "SEEDS": "sockets older than the subscription have no known owner",
    "NETNS": "connections not yet accepted have no known owner",
    "LISTENER": "connection requests have no known owner",
    "RTT": "round-trip times cannot be read",
    "BYTES": "a closed connection's bytes cannot be told",
    "OUTCOME": "failed connects show no error",
    "SHUTDOWN": "a close is told only when the kernel frees the socket",
    "PACKET": "packets cannot be read",
    "TCP_DESTROY": "the end of a connection cannot be told",
    "TCP_PROBE": "segments cannot be told",
    "TCP_RETRANSMIT": "retransmissions cannot be told",
    "TCP_SYNACK": "answers to connects sent again cannot be told",
    "TCP_SEND_RESET": "resets sent cannot be told",
    "TCP_RECEIVE_RESET": "resets received cannot be told",
    "DROPS": "dropped packets carry no reason or no socket",
    "TASK": "threads other than the running one cannot be told",
    "EXECUTED": "a started program's name and arguments cannot be read",
    "VICTIM": "a process killed for memory cannot be told",
    "SIGNALS": "signals cannot be told",
    "FAULTS": "page faults cannot be told",
    "DEVICE": "packets at network interfaces cannot be told",
    "SWITCH": "switches between threads cannot be told",
    "TASK_REGS": "what a thread waits for is not known",
    "EXEC": "a successful execve shows no file name",
    "ARGV": "a successful execve shows no arguments",
    "FACTS": "calls show no memory sizes, page faults and parents of their process",
    "EXIT": "exit codes cannot be read",
    "FOLLOW": "children of chosen processes are not followed",
    "COMPAT": "32-bit system calls are taken for 64-bit ones",
}
"""What is lost where the kernel's type information lacks a feature's members."""

MEMBERS: dict[str, tuple[tuple[str, str, str], ...]] = {
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
        ("O_SK_FAMILY", "sock", "__sk_common.skc_family"),
        ("O_SK_STATE", "sock", "__sk_common.skc_state"),
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
    "SOCKET": (
        ("O_SK_PROTOCOL", "sock", "sk_protocol"),
        ("O_SK_TYPE", "sock", "sk_type"),
    ),
    "ROLE": (
        ("O_INET_MC_INDEX", "inet_sock", "mc_index"),
        ("O_INET_PINET6", "inet_sock", "pinet6"),
        ("O_IPV6_MCAST_OIF", "ipv6_pinfo", "mcast_oif"),
    ),
    "UNIX": (
        ("O_UNIX_ADDR", "unix_sock", "addr"),
        ("O_UNIX_PEER", "unix_sock", "peer"),
        ("O_UNIX_ADDRESS_LEN", "unix_address", "len"),
        ("O_UNIX_ADDRESS_NAME", "unix_address", "name"),
        ("O_SK_SOCKET", "sock", "sk_socket"),
        ("O_SOCKET_ALLOC_INODE", "socket_alloc", "vfs_inode"),
    ),
    "PATH": (
        ("O_FILE_PATH", "file", "f_path"),
        ("O_DENTRY_NAME", "dentry", "d_name.name"),
        ("O_DENTRY_PARENT", "dentry", "d_parent"),
        ("O_DENTRY_PPREV", "dentry", "d_hash.pprev"),
        ("O_MOUNT_MNT", "mount", "mnt"),
        ("O_MOUNT_ROOT", "mount", "mnt.mnt_root"),
        ("O_MOUNT_PARENT", "mount", "mnt_parent"),
        ("O_MOUNT_MOUNTPOINT", "mount", "mnt_mountpoint"),
    ),
    "INODE": (("O_INODE_INO", "inode", "i_ino"),),
    "NAMESPACE": (
        ("O_INODE_PRIVATE", "inode", "i_private"),
        ("O_NS_OPS", "ns_common", "ops"),
        ("O_NS_OPS_NAME", "proc_ns_operations", "name"),
    ),
    "TCP": (("O_SK_PROTOCOL", "sock", "sk_protocol"),),
    "OWNER": (("O_SK_OWNED", "sock", "sk_lock.owned"),),
    "SEEDS": (
        ("O_SK_SOCKET", "sock", "sk_socket"),
        ("O_SOCKET_INODE", "socket_alloc", "vfs_inode"),
        ("O_INODE_NUMBER", "inode", "i_ino"),
    ),
    "NETNS": (
        ("O_SK_NET", "sock", "__sk_common.skc_net.net"),
        ("O_NET_INUM", "net", "ns.inum"),
    ),
    "LISTENER": (("O_SK_LISTENER", "sock", "__sk_common.skc_listener"),),
    "RTT": (
        ("O_TCP_SRTT", "tcp_sock", "srtt_us"),
        ("O_TCP_SND_CWND", "tcp_sock", "snd_cwnd"),
    ),
    "BYTES": (
        ("O_TCP_BYTES_SENT", "tcp_sock", "bytes_sent"),
        ("O_TCP_BYTES_RETRANS", "tcp_sock", "bytes_retrans"),
        ("O_TCP_BYTES_RECEIVED", "tcp_sock", "bytes_received"),
    ),
    "OUTCOME": (
        ("O_SK_ERR", "sock", "sk_err"),
        ("O_TCP_SEGS_OUT", "tcp_sock", "segs_out"),
    ),
    "SHUTDOWN": (("O_SK_SHUTDOWN", "sock", "sk_shutdown"),),
    "PACKET": (
        ("O_SKB_HEAD", "sk_buff", "head"),
        ("O_SKB_DATA", "sk_buff", "data"),
        ("O_SKB_LEN", "sk_buff", "len"),
        ("O_SKB_NETWORK_HEADER", "sk_buff", "network_header"),
    ),
    "TCP_DESTROY": (),
    "TCP_PROBE": (),
    "TCP_RETRANSMIT": (),
    "TCP_SYNACK": (),
    "TCP_SEND_RESET": (),
    "TCP_RECEIVE_RESET": (),
    "DROPS": (),
    "TASK": (
        ("O_TASK_TGID", "task_struct", "tgid"),
        ("O_TASK_PID", "task_struct", "pid"),
        ("O_TASK_COMM", "task_struct", "comm"),
        ("O_TASK_CRED", "task_struct", "cred"),
        ("O_CRED_UID", "cred", "uid.val"),
        ("O_CRED_GID", "cred", "gid.val"),
    ),
    "EXECUTED": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_ARG_START", "mm_struct", "arg_start"),
        ("O_MM_ARG_END", "mm_struct", "arg_end"),
        ("O_BPRM_FILENAME", "linux_binprm", "filename"),
    ),
    "VICTIM": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_TOTAL_VM", "mm_struct", "total_vm"),
        ("O_TASK_SIGNAL", "task_struct", "signal"),
        ("O_SIGNAL_OOM_SCORE", "signal_struct", "oom_score_adj"),
    ),
    "SIGNALS": (
        ("O_TASK_PID", "task_struct", "pid"),
        ("O_TASK_TGID", "task_struct", "tgid"),
        ("O_TASK_SIGNAL", "task_struct", "signal"),
        ("O_SIGINFO_CODE", "kernel_siginfo", "si_code"),
        ("O_SIGNAL_FLAGS", "signal_struct", "flags"),
        ("O_SIGNAL_EXIT_CODE", "signal_struct", "group_exit_code"),
    ),
    "FAULTS": (),
    "DEVICE": (
        ("O_SKB_LEN", "sk_buff", "len"),
        ("O_SKB_HEAD", "sk_buff", "head"),
        ("O_SKB_PROTOCOL", "sk_buff", "protocol"),
        ("O_SKB_MAC_HEADER", "sk_buff", "mac_header"),
        ("O_SKB_DEV", "sk_buff", "dev"),
        ("O_SKB_SK", "sk_buff", "sk"),
        ("O_DEVICE_NAME", "net_device", "name"),
        ("O_DEVICE_TYPE", "net_device", "type"),
    ),
    "SWITCH": (
        ("O_TASK_PID", "task_struct", "pid"),
        ("O_TASK_TGID", "task_struct", "tgid"),
        ("O_TASK_COMM", "task_struct", "comm"),
        ("O_TASK_STATE", "task_struct", "__state"),
        ("O_TASK_PRIO", "task_struct", "prio"),
        ("O_TASK_MAJ_FLT", "task_struct", "maj_flt"),
        ("O_TASK_MIN_FLT", "task_struct", "min_flt"),
    ),
    "EXEC": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_ENV_END", "mm_struct", "env_end"),
    ),
    "ARGV": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_ARG_START", "mm_struct", "arg_start"),
        ("O_MM_ARG_END", "mm_struct", "arg_end"),
    ),
    "FACTS": (
        ("O_TASK_MM", "task_struct", "mm"),
        ("O_MM_TOTAL_VM", "mm_struct", "total_vm"),
        ("O_TASK_MAJ_FLT", "task_struct", "maj_flt"),
        ("O_TASK_MIN_FLT", "task_struct", "min_flt"),
        ("O_TASK_SIGNAL", "task_struct", "signal"),
        ("O_SIGNAL_RLIM", "signal_struct", "rlim"),
        ("O_TASK_REAL_PARENT", "task_struct", "real_parent"),
        ("O_TASK_TGID", "task_struct", "tgid"),
    ),
    "EXIT": (
        ("O_TASK_FLAGS", "task_struct", "flags"),
        ("O_TASK_EXIT_CODE", "task_struct", "exit_code"),
        ("O_TASK_SIGNAL", "task_struct", "signal"),
        ("O_SIGNAL_LIVE", "signal_struct", "live.counter"),
    ),
    "FOLLOW": (
        ("O_TASK_PID", "task_struct", "pid"),
        ("O_TASK_TGID", "task_struct", "tgid"),
    ),
    "COMPAT": (("O_TASK_STATUS", "task_struct", "thread_info.status"),),
}
"""Of each feature the macro, the structure and the member. One that needs none may need a
tracepoint."""

SPANS: dict[str, tuple[str, tuple[str, ...]]] = {
    "DENTRY": ("PATH", ("O_DENTRY_PPREV", "O_DENTRY_PARENT", "O_DENTRY_NAME")),
    "MOUNT": ("PATH", ("O_MOUNT_PARENT", "O_MOUNT_MOUNTPOINT", "O_MOUNT_ROOT")),
    "SK": (
        "TUPLE",
        (
            "O_SK_FAMILY", "O_SK_NUM", "O_SK_DPORT", "O_SK_RCV_SADDR", "O_SK_DADDR",
            "O_SK_V6_RCV_SADDR", "O_SK_V6_DADDR",
        ),
    ),
}  # fmt: skip
"""Members a feature reads in one go, from `SPAN_X` on, `SPAN_X_SIZE` bytes."""
OPTIONAL = {"O_MPTCP_SERVER_SIDE": ("mptcp_sock", "pm.server_side")}
"""Members of what a kernel may have been built without, which is no loss; 0 where absent."""

TRACEPOINTS = {
    "TCP": "inet_sock_set_state",
    "TCP_DESTROY": "tcp_destroy_sock",
    "TCP_PROBE": "tcp_probe",
    "TCP_RETRANSMIT": "tcp_retransmit_skb",
    "TCP_SYNACK": "tcp_retransmit_synack",
    "TCP_SEND_RESET": "tcp_send_reset",
    "TCP_RECEIVE_RESET": "tcp_receive_reset",
    "DROPS": "kfree_skb",
    "EXIT": "sched_process_exit",
    "EXECUTED": "sched_process_exec",
    "VICTIM": "mark_victim",
    "SIGNALS": "signal_deliver",
    "FAULTS": "page_fault_user",
    "DEVICE": "net_dev_start_xmit",
    "SWITCH": "sched_switch",
}
"""Tracepoints that features need beside members."""

LEAST_PARAMETERS = {"DROPS": 5, "EXECUTED": 4, "VICTIM": 3, "SIGNALS": 4}
"""Of such a tracepoint, the internal first one included; where older kernels had fewer."""

DETAILS = {
    "RESET_TELLS_REASON": ("tcp_send_reset", 4),
    "RETRANSMIT_TELLS_ERROR": ("tcp_retransmit_skb", 4),
    "SWITCH_TELLS_STATE": ("sched_switch", 5),
}
"""Arguments that newer kernels add to a tracepoint: its name, and its parameters with them."""
