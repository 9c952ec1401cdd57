"""What a DeepFlow plugin may import, checked before it is linked, with advice where it is refused.

Source: DeepFlow agent. What the functions do is in `engine.wasm.hostcalls`.
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

_ADVICE = {
    (WASI, "random_get"): "TinyGo 0.33 and newer import it; build with TinyGo 0.32 or older",
    (WASI, "poll_oneoff"): "something sleeps or waits; a plugin can have no time.Sleep and no "
    "goroutine that waits",
    (DEEPFLOW, "host_read_http_result"): "agents have been without it since 2023-08-30; build "
    "with a DeepFlow Go SDK of after that day",
}
_ALLOWED = "the agent offers 8 functions of `deepflow` and 18 of WASI, nothing else"


class Import(NamedTuple):
    """One import of a module."""

    module: str
    name: str
    signature: tuple[int, int] | None
    """Number of i32 parameters and results; None if it is not a function of i32 only."""


def check_imports(imports: Iterable[Import]) -> None:
    """Refuse a module the agent could not link.

    Raises:
        WasmError: naming the first import outside the list, with what to do about it.
    """
    for module, name, signature in imports:
        full = f"{clean(module, 60)}.{clean(name, 60)}"
        if module == DEEPFLOW and name in DEEPFLOW_FUNCTIONS:
            if signature != DEEPFLOW_FUNCTIONS[name]:
                params, results = DEEPFLOW_FUNCTIONS[name]
                raise WasmError(
                    f"{full} is imported with the wrong type",
                    fix=f"declare it as a function of {params} i32 with {results} i32 result",
                )
        elif module != WASI or name not in WASI_FUNCTIONS:
            raise WasmError(
                f"unknown import {full}", fix=_ADVICE.get((module, name)) or _general_advice(name)
            )


def _general_advice(name: str) -> str:
    if name.startswith("sock_"):
        return "a plugin has no sockets: it is called for every packet and must answer at once"
    return _ALLOWED
