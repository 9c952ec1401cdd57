"""What a DeepFlow plugin may import, judged before it is linked, with advice where it is refused.

Source: DeepFlow agent. Strict is what an agent links; what agents have dropped is added for
plugins of any SDK, and the rest of WASI for lenient hosts, so that any plugin can be looked at.
Either way the agent's verdict is known.
What the functions do is in `engine.wasm.hostcalls` and `engine.wasm.wasi`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from engine.core.errors import WasmError
from engine.core.sanitise import clean

DEEPFLOW = "deepflow"
WASI = "wasi_snapshot_preview1"

WASI_FUNCTIONS = frozenset(
    {
        "args_get",
        "args_sizes_get",
        "clock_time_get",
        "environ_get",
        "environ_sizes_get",
        "fd_close",
        "fd_fdstat_get",
        "fd_filestat_get",
        "fd_pread",
        "fd_prestat_dir_name",
        "fd_prestat_get",
        "fd_read",
        "fd_seek",
        "fd_write",
        "path_open",
        "path_readlink",
        "proc_exit",
        "sched_yield",
    }
)
"""The only WASI functions the agent links."""

DEEPFLOW_FUNCTIONS = {
    "wasm_log": (3, 0),
    "vm_read_ctx_base": (2, 1),
    "vm_read_payload": (2, 1),
    "vm_read_http_req_info": (2, 1),
    "vm_read_http_resp_info": (2, 1),
    "vm_read_custom_message_info": (2, 1),
    "host_read_l7_protocol_info": (2, 1),
    "host_read_str_result": (2, 1),
}
"""The agent's own functions: how many i32 parameters and i32 results each has."""

HTTP_RESULT = "host_read_http_result"
DROPPED_FUNCTIONS = {HTTP_RESULT: (2, 1)}
"""Functions that agents had until 2023-08-30."""

LENIENT_WASI = WASI_FUNCTIONS | {
    "clock_res_get",
    "fd_advise",
    "fd_allocate",
    "fd_datasync",
    "fd_fdstat_set_flags",
    "fd_fdstat_set_rights",
    "fd_filestat_set_size",
    "fd_filestat_set_times",
    "fd_pwrite",
    "fd_readdir",
    "fd_renumber",
    "fd_sync",
    "fd_tell",
    "path_create_directory",
    "path_filestat_get",
    "path_filestat_set_times",
    "path_link",
    "path_remove_directory",
    "path_rename",
    "path_symlink",
    "path_unlink_file",
    "poll_oneoff",
    "proc_raise",
    "random_get",
    "sock_accept",
    "sock_recv",
    "sock_send",
    "sock_shutdown",
}
"""All of WASI preview 1; harmless here, since a plugin has no file, no directory and no socket."""

_ADVICE = {
    (WASI, "random_get"): "TinyGo 0.33 and newer, and standard Go, import it; build "
    "with TinyGo 0.32 or older",
    (WASI, "poll_oneoff"): "something sleeps or waits; a plugin can have no time.Sleep and no "
    "goroutine that waits",
    (DEEPFLOW, HTTP_RESULT): "agents have been without it since 2023-08-30; build with a "
    "DeepFlow Go SDK of after that day",
}
_ALLOWED = "the agent offers 8 functions of `deepflow` and 18 of WASI, nothing else"


class Import(NamedTuple):
    """One import of a module."""

    module: str
    name: str
    signature: tuple[int, int] | None
    """Number of i32 parameters and results; None if it is not a function of i32 only."""


class Judged(NamedTuple):
    """An import and what becomes of it."""

    name: str
    """Module and name, sanitised."""
    refusal: str
    """Why an agent would not link it; empty if it would."""
    advice: str
    lenient: bool
    """Whether a lenient host links it."""
    old_sdk: bool = False
    """Whether agents once had it, so that any host but a faithful one links it."""


def judge_import(entry: Import) -> Judged:
    """What an agent, and what a lenient host, makes of an import."""
    module, name, signature = entry
    full = f"{clean(module, 60)}.{clean(name, 60)}"
    known = (DEEPFLOW_FUNCTIONS | DROPPED_FUNCTIONS).get(name) if module == DEEPFLOW else None
    if known is not None and signature != known:
        params, results = known
        advice = f"declare it as a function of {params} i32 with {results} i32 result"
        return Judged(full, f"{full} is imported with the wrong type", advice, False)
    if (module == DEEPFLOW and name in DEEPFLOW_FUNCTIONS) or (
        module == WASI and name in WASI_FUNCTIONS
    ):
        return Judged(full, "", "", True)
    advice = _ADVICE.get((module, name)) or _general_advice(name)
    lenient = known is not None or (module == WASI and name in LENIENT_WASI)
    return Judged(full, f"unknown import {full}", advice, lenient, known is not None)


def check_imports(
    imports: Iterable[Import], *, lenient: bool = False, any_sdk: bool = False
) -> list[Judged]:
    """Refuse a module that could not be linked.

    Args:
        imports: What the module imports.
        lenient: Let through what an agent would refuse but we can link.
        any_sdk: Let through what agents have dropped.

    Returns:
        What was let through although an agent refuses it.

    Raises:
        WasmError: naming the first import that cannot be linked, with what to do about it.
    """
    tolerated = []
    for entry in imports:
        judged = judge_import(entry)
        if not judged.refusal:
            continue
        if not ((lenient and judged.lenient) or (any_sdk and judged.old_sdk)):
            also = "; a lenient host (--lenient) runs it all the same" if judged.lenient else ""
            raise WasmError(judged.refusal, fix=judged.advice + also)
        tolerated.append(judged)
    return tolerated


def _general_advice(name: str) -> str:
    if name.startswith("sock_"):
        return "a plugin has no sockets: it is called for every packet and must answer at once"
    return _ALLOWED
