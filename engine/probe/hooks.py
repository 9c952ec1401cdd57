"""The events that are not system calls."""

from __future__ import annotations

from engine.probe.calls import Category
from engine.probe.events import Event

PROCEXIT = Event(
    "tracepoint-procexit",
    "procexit",
    "-",
    186,
    (Category.PROCESS,),
    ("on_process_exit",),
    "a thread ends",
    ("status", "exit_code", "signal", "group_dead"),
    needs=("EXIT",),
)
TCP_SET_STATE = Event(
    "kprobe-tcp_set_state",
    "tcp_set_state",
    "-",
    336,
    (Category.NET,),
    ("on_tcp_state",),
    "a TCP socket changes its state",
    ("src", "dst", "old_state", "new_state", "ctx_tid"),
    needs=("TUPLE", "TCP"),
)

HOOKS: tuple[Event, ...] = (PROCEXIT, TCP_SET_STATE)
"""All of them, in the order they are listed."""
