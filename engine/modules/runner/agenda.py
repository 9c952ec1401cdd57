"""What a runner is to do, one operation after the other, and how long each may take."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.modules.runner.protocol import Operation, RunSpec


class Agenda:
    """Operations in the order they were asked for.

    Args:
        spec: The run; names what an operation leaves out.
        now: Monotonic seconds.
    """

    def __init__(self, spec: RunSpec, now: Callable[[], float]) -> None:
        self.current: Operation | None = None
        """What is being done."""
        self.deadline = 0.0
        """When that must be over; 0 while there is nothing."""
        self._spec = spec
        self._now = now
        self._waiting: deque[Operation] = deque()
        self._began = 0.0

    @property
    def allowed_s(self) -> float:
        """How long the present operation may take."""
        return self.deadline - self._began

    @property
    def waiting(self) -> Sequence[Operation]:
        """What has not been begun."""
        return tuple(self._waiting)

    def add_run(self) -> None:
        """What the run itself asks for."""
        spec = self._spec
        self._waiting.append(Operation("open", path=spec.file))
        if spec.symbol:
            self._waiting.append(
                Operation("lookup", spec.symbol, interface=spec.interface, methods=spec.methods)
            )
        if spec.call:
            method = "" if spec.call == "()" else spec.call
            self._waiting.append(Operation("call", spec.symbol, method, tuple(spec.args)))

    def add(self, operation: Operation) -> None:
        """Something more, with the run's own file and symbol where it names none."""
        self._waiting.append(self._completed(operation))

    def begin_next(self) -> Operation | None:
        """The next operation, whose time begins now; None if there is none."""
        if not self._waiting:
            self.current = None
            self.deadline = 0.0
            return None
        self.current = operation = self._waiting.popleft()
        limits = self._spec.limits
        allowed = limits.open_s if operation.name == "open" else limits.call_s
        self._began = self._now()
        self.deadline = self._began + allowed
        return operation

    def overdue(self, now: float) -> Operation | None:
        """The present operation, if it has taken too long."""
        return self.current if self.deadline and now >= self.deadline else None

    def _completed(self, operation: Operation) -> Operation:
        spec = self._spec
        if operation.name == "open":
            return replace(operation, path=operation.path or spec.file)
        if operation.name != "call" or operation.symbol:
            return operation
        if not spec.symbol:
            return replace(operation, symbol=operation.method, method="")
        method = "" if operation.method in ("()", spec.symbol) else operation.method
        return replace(operation, symbol=spec.symbol, method=method)


def described(operation: Operation) -> str:
    """An operation in words, as what was going on."""
    match operation.name:
        case "open":
            return "opening it"
        case "call":
            name = ".".join(part for part in (operation.symbol, operation.method) if part)
            return f"the call of {name}"
    return f"the {operation.name}"
