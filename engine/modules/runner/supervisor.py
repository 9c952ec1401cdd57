"""Watches over one runner: starts it, hands it operations, ends it when it overstays.

One thread, one poll. The supervisor never runs anything of the module's, so that it answers
whatever the module does; it is the parent by adoption of all that the module leaves behind, and
does not go before that is gone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Protocol

from engine.modules.runner import crash
from engine.modules.runner.agenda import Agenda, described
from engine.modules.runner.pipes import Pipes
from engine.modules.runner.protocol import Event, Operation, RunSpec
from engine.modules.runner.records import Garbage, RecordSplitter
from engine.modules.runner.start import Runner, kill_descendants, start_runner
from engine.modules.runner.usage import Usage

LOOK_S = 0.05
"""Time between two looks at the memory of the module's processes."""
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
        self._pipes = Pipes()
        self._agenda = Agenda(spec, now)
        self._usage = Usage(spec.limits)
        self._runner: Runner | None = None
        self._splitter = RecordSplitter()
        self._lines = b""
        self._outcome = ""
        self._opened = self._ready = False
        self._look_at = 0.0

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call the handler whenever the descriptor can be read."""
        self._pipes.watch(descriptor, handler)

    def run(self) -> None:
        """Go on until the module's life is over."""
        while not self.over:
            for handler in self._pipes.ready(self._timeout_ms()):
                if not self.over:
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
        self._agenda.add_run()
        self._next()

    def ask(self, operation: Operation) -> None:
        """Have something done after what was asked for before."""
        if self._runner is None:
            self._teller.reply(operation.token, False, "the module has not been started")
            return
        self._agenda.add(operation)
        if self._agenda.current is None:
            self._next()

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
        operation = self._agenda.begin_next()
        if operation is not None and self._runner is not None:
            self._outcome = ""
            self._runner.hand(operation.line())

    def _read_events(self) -> None:
        fresh = self._pipes.read(self._runner.events) if self._runner is not None else b""
        if not fresh:
            return
        *lines, self._lines = (self._lines + fresh).split(b"\n")
        for line in lines:
            with suppress(ValueError, AttributeError, RecursionError):
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
        operation = self._agenda.current
        if operation is None:
            return
        if operation.token:
            self._teller.reply(operation.token, succeeded, self._outcome)
        if operation.name == "open" and not succeeded and not self._opened:
            self._end("it could not be opened", 1)
            return
        self._opened = self._opened or operation.name == "open"
        self._next()
        if self._agenda.current is None and not self._ready:
            self._ready = True
            self._tell("ready", text="what was asked for is done; it waits for calls")

    # Its records.

    def _read_records(self) -> None:
        fresh = self._pipes.read(self._runner.records) if self._runner is not None else b""
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
        deadline = self._agenda.deadline
        times = [self._look_at] + ([deadline] if deadline else [])
        return max(0.0, min(times) - self._now()) * 1000 + 1

    def _enforce(self) -> None:
        now = self._now()
        if self._runner is None:
            return
        overdue = self._agenda.overdue(now)
        if overdue is not None:
            self._kill_overdue(overdue)
        elif now >= self._look_at:
            self._look_at = now + LOOK_S
            excess = self._usage.excess()
            if excess is not None:
                what, text = excess
                self._tell("killed", text=text)
                self._end(f"it was killed for its {what}", 2)

    def _kill_overdue(self, operation: Operation) -> None:
        after = self._agenda.allowed_s
        self._tell(
            "killed",
            operation=operation.name,
            text=f"{described(operation)} had not returned after {after:g} s",
        )
        if operation.token:
            self._teller.reply(operation.token, False, f"killed after {after:g} s")
        self._end("it was killed at its deadline", 2)

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
        current = self._agenda.current
        doing = f", during {described(current)}" if current is not None else ""
        self._tell(found.event, text=f"{found.text}{doing}", frame=found.frame)
        if current is not None and current.token:
            self._teller.reply(current.token, False, found.text)
        self._end(f"it died: {found.text}", 3)

    def _drain(self, runner: Runner) -> None:
        for descriptor, handler in (
            (runner.events, self._read_events),
            (runner.records, self._read_records),
        ):
            # Not until its end: what it has left behind may hold the pipe open.
            for _ in range(64):
                if self.over or not self._pipes.holds(descriptor):
                    break
                handler()

    def _end(self, why: str, exit_code: int) -> None:
        """Kill everything the module has, wait for it, and say so; the last thing it does."""
        if self.over:
            return
        self.over = True
        self.exit_code = exit_code
        for operation in self._agenda.waiting:
            if operation.token:
                self._teller.reply(operation.token, False, why)
        killed = kill_descendants(self._runner.pid) if self._runner is not None else 0
        unfinished = self._splitter.rest()
        told = {"left_behind": str(killed), "peak_memory": str(self._usage.peak)}
        self._tell("ended", text=why, code=str(exit_code), **told)
        if unfinished and exit_code:
            self._teller.forward(unfinished)

    def _tell(self, event: Event, /, **fields: str) -> None:
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
