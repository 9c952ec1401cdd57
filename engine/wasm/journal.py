"""What happened inside one call of one plugin: logs, output, host calls, faults, the result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from engine.core.sanitise import clean

_LOG_LEVELS = {0: "info", 1: "warning", 2: "error"}
_MAX_LOGS = 50
_MAX_HOST_CALLS = 64


class HostCall(NamedTuple):
    """One call of a `deepflow` function by a plugin."""

    name: str
    pointer: int
    length: int
    """Length of what it gives, or room for what it asks."""
    result: int
    """What it got, as a signed number."""


@dataclass(slots=True)
class Journal:
    """What happened inside one call of one plugin."""

    logs: list[str] = field(default_factory=list)
    """Sanitised `level: text` lines."""
    faults: list[str] = field(default_factory=list)
    """Host calls that were answered with a failure, and why."""
    notes: list[str] = field(default_factory=list)
    """What is not as it seems: a stub in place of the real thing, what an agent would not do."""
    rejected: str = ""
    """Why a result was refused; empty if none was."""
    stdout: bytearray = field(default_factory=bytearray)
    """What the plugin wrote to fd 1 and 2; the agent discards it."""
    sent_result: bool = False
    result: bytes = b""
    """The last result list as it came, accepted or not."""
    host_calls: list[HostCall] = field(default_factory=list)
    """The functions it called, in order; at most 64."""

    def called(self, name: str, pointer: int, length: int, result: int) -> None:
        """Note a host call."""
        if len(self.host_calls) < _MAX_HOST_CALLS:
            self.host_calls.append(HostCall(name, pointer, length, result))

    def lines(self) -> list[str]:
        """Logs, then failed and stubbed host calls, then captured output."""
        shown = [*self.logs, *(f"fault: {fault}" for fault in self.faults)]
        shown += (f"note: {note}" for note in self.notes)
        output = bytes(self.stdout).splitlines()[:_MAX_LOGS]
        return [*shown, *(f"stdout: {clean(line, 500)}" for line in output)]

    def log(self, level: int, text: bytes) -> None:
        """Add one line of `wasm_log`; unlike an agent, also one it would not show."""
        if level not in _LOG_LEVELS:
            self.note(f"wasm_log: level {level} does not exist; an agent drops the text")
        elif not _is_utf8(text):
            self.note("wasm_log: not UTF-8; an agent logs an error in place of the text")
        if len(self.logs) < _MAX_LOGS:
            self.logs.append(f"{_LOG_LEVELS.get(level, f'level {level}')}: {clean(text, 1_000)}")

    def note(self, text: str) -> None:
        """Note what is not as it seems, or would be otherwise in an agent."""
        if text not in self.notes:
            self.notes.append(text)

    def fault(self, text: str) -> None:
        """Note a host call that failed."""
        if len(self.faults) < _MAX_LOGS:
            self.faults.append(text)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
