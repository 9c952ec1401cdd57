"""Watches over one runner: starts it, hands it operations, ends it when it overstays.

One thread, one poll. The supervisor never runs anything of the module's, so that it answers
whatever the module does; it is the parent by adoption of all that the module leaves behind, and
does not go before that is gone.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from engine.modules.runner import containment, crash
from engine.modules.runner.protocol import (
    Event,
    Operation,
    RunSpec,
)
from engine.modules.runner.records import Garbage, RecordSplitter
from engine.modules.runner.start import Runner, kill_descendants, start_runner

LOOK_S = 0.05
"""Time between two looks at the memory of the module's processes."""
READ_BYTES = 64 * 1024
MAX_LINE = 256 * 1024
"""A runner's event that is longer is none."""


class Teller(Protocol):
    """Whom the supervisor tells, in the engine's words; both may wait while the pipe is full."""

    def event(self, event: Event, pid: int | None, fields: Mapping[str, str]) -> None:
        """A step of the module's life."""

    def reply(self, token: str, succeeded: bool, message: str) -> None:
        """What became of a task."""

    def forward(self, data: bytes) -> None:
        """Bytes of the module's own record pipe."""


class Supervisor:
    """One run of one module.

    Args:
        spec: What is to be run.
        teller: Whom it tells.
        stderr: Descriptor of the file that takes what the module prints.
        now: Monotonic seconds.
    """

    def __init__(
        self,
        spec: RunSpec,
        teller: Teller,
        stderr: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.exit_code = 0
        """What the supervisor is to exit with: 0 if the module was ended because it was asked for,
        1 if it could not be opened, 2 if it overstayed, 3 if it died."""
        self.over = False
        self._spec = spec
        self._teller = teller
        self._stderr = stderr
        self._stderr_begun = 0
        self._now = now
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._runner: Runner | None = None
        self._splitter = RecordSplitter()
        self._lines = b""
        self._waiting: deque[Operation] = deque()
        self._current: Operation | None = None
        self._began = self._deadline = 0.0
        self._succeeded = False
        self._outcome = ""
        self._opened = self._ready = False
        self._peak = 0
        self._look_at = 0.0

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call the handler whenever the descriptor can be read."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def run(self) -> None:
        """Go on until the module's life is over."""
        while not self.over:
            for descriptor, _ in self._poll.poll(self._timeout_ms()):
                handler = self._handlers.get(descriptor)
                if handler is not None and not self.over:
                    handler()
            if not self.over:
                self._enforce()

    # What the engine asks for.

    def begin(self) -> None:
        """Start the runner, and do what the run asks for; once."""
        if self._runner is not None:
            return
        try:
            self._start_runner()
        except OSError as error:
            self._tell("refused", text=f"the runner cannot be started: {error.strerror}")
            self._end("it could not be started", 1)
            return
        spec = self._spec
        self._waiting.append(Operation("open", path=spec.file))
        if spec.symbol:
            self._waiting.append(
                Operation("lookup", spec.symbol, interface=spec.interface, methods=spec.methods)
            )
        if spec.call:
            method = "" if spec.call == "()" else spec.call
            self._waiting.append(Operation("call", spec.symbol, method, tuple(spec.args)))
        self._next()

    def ask(self, operation: Operation) -> None:
        """Have something done after what was asked for before."""
        if self._runner is None:
            self._teller.reply(operation.token, False, "the module has not been started")
            return
        self._waiting.append(self._completed(operation))
        if self._current is None:
            self._next()

    def _completed(self, operation: Operation) -> Operation:
        """With the run's own file and symbol where it names none."""
        spec = self._spec
        if operation.name == "open":
            return replace(operation, path=operation.path or spec.file)
        if operation.name != "call" or operation.symbol:
            return operation
        if not spec.symbol:
            return replace(operation, symbol=operation.method, method="")
        method = "" if operation.method in ("()", spec.symbol) else operation.method
        return replace(operation, symbol=spec.symbol, method=method)

    def abandon(self) -> None:
        """End the module without a word: nobody listens any more."""
        self.over = True
        if self._runner is not None:
            kill_descendants(self._runner.pid)

    def leave(self) -> None:
        """End the module: the only way to unload one."""
        self._end("it was unloaded", 0)

    # The runner.

    def _start_runner(self) -> None:
        self._stderr_begun = os.lseek(self._stderr, 0, os.SEEK_END)
        self._runner = runner = start_runner(self._spec, self._stderr)
        self.watch(runner.events, self._read_events)
        self.watch(runner.records, self._read_records)
        self.watch(runner.pidfd, self._runner_ended)
        self._tell_contained(runner.shares_network)

    def _tell_contained(self, no_network: str) -> None:
        limits = self._spec.limits
        network = f"the box's network, as {no_network.lower()}" if no_network else "no network"
        group = "" if self._spec.cgroup else ", no control group"
        self._tell(
            "contained",
            text=f"{limits.memory >> 20} MiB, {limits.processes} processes, open "
            f"{limits.open_s:g} s, call {limits.call_s:g} s, {network}{group}; "
            "this contains accidents, it is no sandbox",
        )

    # Operations.

    def _next(self) -> None:
        if not self._waiting:
            self._current = None
            self._deadline = 0.0
            return
        self._current = operation = self._waiting.popleft()
        limits = self._spec.limits
        allowed = limits.open_s if operation.name == "open" else limits.call_s
        self._began = self._now()
        self._deadline = self._began + allowed
        self._succeeded, self._outcome = False, ""
        if self._runner is not None:
            self._runner.hand(operation.line())

    def _read_events(self) -> None:
        fresh = self._read(self._runner.events) if self._runner is not None else b""
        if not fresh:
            return
        *lines, self._lines = (self._lines + fresh).split(b"\n")
        for line in lines:
            with suppress(ValueError, AttributeError):
                self._runner_told(json.loads(line))
        if len(self._lines) > MAX_LINE:
            self._lines = b""

    def _runner_told(self, told: Mapping[str, object]) -> None:
        if self.over:
            return
        if told.get("done"):
            self._operation_done(bool(told.get("ok")))
            return
        fields = {str(key): str(value) for key, value in told.items() if value not in (None, "")}
        event = fields.pop("event", "")
        if event in _FROM_RUNNER:
            self._outcome = fields.get("text", event)
            self._tell(event, **fields)  # type: ignore[arg-type]

    def _operation_done(self, succeeded: bool) -> None:
        operation = self._current
        if operation is None:
            return
        if operation.token:
            self._teller.reply(operation.token, succeeded, self._outcome)
        if operation.name == "open" and not succeeded and not self._opened:
            self._end("it could not be opened", 1)
            return
        self._opened = self._opened or operation.name == "open"
        self._next()
        if self._current is None and not self._ready:
            self._ready = True
            self._tell("ready", text="what was asked for is done; it waits for calls")

    # Its records.

    def _read_records(self) -> None:
        fresh = self._read(self._runner.records) if self._runner is not None else b""
        if not fresh:
            return
        try:
            whole = self._splitter.take(fresh)
        except Garbage as garbage:
            self._teller.forward(garbage.before)
            self._tell(
                "garbage",
                text=f"announced a record of {garbage.length} bytes, so what it writes to its "
                "record pipe cannot be read any further",
                bytes=garbage.rest[:32].hex(" "),
            )
            self._end("it wrote garbage to its record pipe", 2)
            self._teller.forward(garbage.rest)  # so that the loss is seen and counted
            return
        if whole:
            self._teller.forward(whole)

    # Limits.

    def _timeout_ms(self) -> float | None:
        if self._runner is None:
            return None
        times = [self._look_at] + ([self._deadline] if self._deadline else [])
        return max(0.0, min(times) - self._now()) * 1000 + 1

    def _enforce(self) -> None:
        now = self._now()
        if self._runner is None:
            return
        operation = self._current
        if operation is not None and self._deadline and now >= self._deadline:
            what = _described(operation)
            after = self._deadline - self._began
            self._tell(
                "killed",
                operation=operation.name,
                text=f"{what} had not returned after {after:g} s",
            )
            if operation.token:
                self._teller.reply(operation.token, False, f"killed after {after:g} s")
            self._end("it was killed at its deadline", 2)
        elif now >= self._look_at:
            self._look_at = now + LOOK_S
            self._look()

    def _look(self) -> None:
        """Add up what the module's processes hold; all of them descend from this one."""
        pids = containment.descendants(os.getpid())
        memory = sum(map(containment.resident, pids))
        self._peak = max(self._peak, memory)
        limits = self._spec.limits
        if memory > limits.memory:
            text = f"held {memory >> 20} MiB, more than the {limits.memory >> 20} it may have"
            self._tell("killed", text=text)
            self._end("it was killed for its memory", 2)
        elif len(pids) > limits.processes:
            text = f"ran {len(pids)} processes, more than the {limits.processes} it may have"
            self._tell("killed", text=text)
            self._end("it was killed for its processes", 2)

    # The end.

    def _runner_ended(self) -> None:
        """It has ended by itself: take what it still told, then say why."""
        runner = self._runner
        if runner is None:
            return
        self._drain(runner)
        if self.over:
            return
        found = crash.describe(
            runner.status(), self._stderr, self._stderr_begun, self._spec.plugin_path
        )
        doing = f", during {_described(self._current)}" if self._current is not None else ""
        self._tell(found.event, text=f"{found.text}{doing}", frame=found.frame)
        if self._current is not None and self._current.token:
            self._teller.reply(self._current.token, False, found.text)
        self._end(f"it died: {found.text}", 3)

    def _drain(self, runner: Runner) -> None:
        for descriptor, handler in (
            (runner.events, self._read_events),
            (runner.records, self._read_records),
        ):
            # Not until its end: what it has left behind may hold the pipe open.
            for _ in range(64):
                if self.over or descriptor not in self._handlers or not _readable(descriptor):
                    break
                handler()

    def _end(self, why: str, exit_code: int) -> None:
        """Kill everything the module has, wait for it, and say so; the last thing it does."""
        if self.over:
            return
        self.over = True
        self.exit_code = exit_code
        for operation in self._waiting:
            if operation.token:
                self._teller.reply(operation.token, False, why)
        killed = kill_descendants(self._runner.pid) if self._runner is not None else 0
        unfinished = self._splitter.rest()
        told = {"left_behind": str(killed), "peak_memory": str(self._peak)}
        self._tell("ended", text=why, code=str(exit_code), **told)
        if unfinished and exit_code:
            self._teller.forward(unfinished)

    def _read(self, descriptor: int) -> bytes:
        """What there is; at the end of the pipe it is looked at no more."""
        try:
            fresh = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not fresh and self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
        return fresh

    def _tell(self, event: Event, **fields: str) -> None:
        self._teller.event(event, self._runner.pid if self._runner else None, fields)


_FROM_RUNNER = frozenset(
    {
        "opening",
        "opened",
        "initialised",
        "already_open",
        "refused",
        "symbol_found",
        "symbol_missing",
        "interface_satisfied",
        "interface_missing",
        "called",
        "returned",
        "panicked",
    }
)
"""What a runner may tell of its module."""


def _described(operation: Operation) -> str:
    match operation.name:
        case "open":
            return "opening it"
        case "call":
            name = ".".join(part for part in (operation.symbol, operation.method) if part)
            return f"the call of {name}"
    return f"the {operation.name}"


def _readable(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
