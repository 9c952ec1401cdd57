"""The process that keeps one module: to the engine a plugin, to the module its supervisor.

    python -I -S -c BOOT SPEC

speaks the Elkeid plugin protocol on descriptors 3 and 4, see `engine.modules.runner.protocol`.
It waits for the task to start, so that the engine can watch the module from its first step on.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from engine.agent import sdk
from engine.modules.runner.containment import become_subreaper
from engine.modules.runner.protocol import (
    EVENT_TYPE,
    TASK_CALL,
    TASK_CLOSE,
    TASK_OPEN,
    TASK_START,
    Event,
    Operation,
    RunSpec,
    parse_spec,
)
from engine.modules.runner.supervisor import Supervisor

TEXT = 3_000
"""Longest text of an event, in characters."""
_MAX_TASK = 4 << 20


def keeper_command(spec: RunSpec) -> tuple[str, ...]:
    """The keeper's command line, without the interpreter."""
    root = str(Path(__file__).parents[1])
    boot = f"import sys; sys.path.insert(0, {root!r}); import engine.module_keeper as k; k.main()"
    return ("-I", "-S", "-c", boot, spec.as_text())


class PipeTeller:
    """Tells the engine over the record pipe; a whole record at a time, waiting while it is full."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def event(self, event: Event, pid: int | None, fields: Mapping[str, str]) -> None:
        """A step of the module's life."""
        shown = {name: value[:TEXT] for name, value in fields.items() if value}
        told = {"event": event, "at_ns": str(time.time_ns()), **shown}
        if pid is not None:
            told["pid"] = str(pid)
        self._send(EVENT_TYPE, told)

    def reply(self, token: str, succeeded: bool, message: str) -> None:
        """What became of a task."""
        status = "succeed" if succeeded else "failed"
        self._send(sdk.REPLY, {"token": token, "status": status, "msg": message[:TEXT]})

    def forward(self, data: bytes) -> None:
        """Bytes of the module's own record pipe."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def _send(self, data_type: int, fields: Mapping[str, str]) -> None:
        body = sdk.encode_record(data_type, int(time.time()), fields)
        self.forward(len(body).to_bytes(4, "little") + body)


class Tasks:
    """What the engine asks for, as it comes in on the task pipe."""

    def __init__(self, supervisor: Supervisor, teller: PipeTeller) -> None:
        self._supervisor = supervisor
        self._teller = teller
        self._held = b""

    def read(self) -> None:
        """Take in what there is; the end of the pipe ends the module."""
        fresh = os.read(sdk.TASK_FD, 64 * 1024)
        if not fresh:
            self._supervisor.leave()
            return
        self._held += fresh
        while len(self._held) >= 4:
            end = 4 + int.from_bytes(self._held[:4], "little")
            if len(self._held) < end or self._supervisor.over:
                return
            body, self._held = self._held[4:end], self._held[end:]
            self._carry_out(sdk.decode_task(body))

    def _carry_out(self, task: sdk.Task) -> None:
        if task.data_type == TASK_START:
            self._supervisor.begin()
            self._teller.reply(task.token, True, "started")
        elif task.data_type in (TASK_CALL, TASK_OPEN, TASK_CLOSE):
            try:
                self._supervisor.ask(_operation(task))
            except ValueError as error:
                self._teller.reply(task.token, False, str(error))
        else:
            message = f"a module knows no task {task.data_type}; {TASK_CALL} calls a method of it"
            self._teller.reply(task.token, False, message)


def _operation(task: sdk.Task) -> Operation:
    if task.data_type == TASK_CALL:
        return parse_call(task)
    if task.data_type == TASK_OPEN:
        return Operation("open", path=task.data, token=task.token)
    return Operation("close", token=task.token)


def parse_call(task: sdk.Task) -> Operation:
    """The call a task asks for.

    Raises:
        ValueError: it is none; the message says what one looks like.
    """
    text = task.data.strip()
    if not text.startswith("{"):
        symbol, _, method = text.rpartition(".")
        return Operation("call", symbol, method, token=task.token)
    try:
        told = json.loads(text)
        args = tuple(told.get("args", ()))
        symbol, method = str(told.get("symbol", "")), str(told.get("method", ""))
    except (ValueError, TypeError, AttributeError):
        raise ValueError(
            'not a call: METHOD, SYMBOL.METHOD or {"symbol": S, "method": M, "args": [...]}'
        ) from None
    return Operation("call", symbol, method, args, token=task.token)


def main() -> None:
    """Keep the module of the command line until its life is over."""
    spec = parse_spec(sys.argv[1])
    become_subreaper()
    teller = PipeTeller(sdk.RECORD_FD)
    supervisor = Supervisor(spec, teller, stderr=2)
    supervisor.watch(sdk.TASK_FD, Tasks(supervisor, teller).read)
    try:
        teller.event("started", None, {"file": spec.file, "kind": spec.kind})
        supervisor.run()
    except BrokenPipeError:
        supervisor.abandon()
    if spec.cgroup:
        with suppress(OSError):  # the engine does it too, unless it was killed
            os.rmdir(spec.cgroup)
    sys.exit(supervisor.exit_code)
