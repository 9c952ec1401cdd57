"""What the ports pane tells about captured traffic."""

from __future__ import annotations

from collections.abc import Sequence

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import ABSENT, count, duration, size
from tui.console.widgets.columns import Remark, SortKey, Tone


class Restarts:
    """Notices when a captured process ends, and when another one takes its place."""

    def __init__(self) -> None:
        self._states: dict[tuple[JsonValue, ...], JsonValue] | None = None

    def news(self, captures: Sequence[Record]) -> list[str]:
        """What has happened since the picture before; nothing of the first one."""
        before = self._states
        self._states = {row.key(): row.get("state") for row in captures}
        if before is None:
            return []
        changed = [row for row in captures if before.get(row.key()) != row.get("state")]
        return [text for row in changed if (text := _restart(row))]


def _restart(capture: Record) -> str:
    name = clean(f"{capture.comm or 'process'}/{capture.pid}")
    cause = str(capture.get("cause"))
    if capture.get("state") == "awaited":
        return f"{name} has ended; when it is started again its traffic is captured again"
    if capture.get("state") == "attached" and cause.startswith("in place of"):
        return f"{name} is captured {clean(cause)}"
    return ""


def attached_text(process: Record) -> str:
    """Whether the traffic of a row is captured."""
    if process.pid is None:
        return ABSENT
    if process.get("attached"):
        return "yes"
    return "✗" if process.get("capture_error") else "no"


def attached_tone(process: Record) -> Tone:
    """How that is emphasised."""
    if process.get("attached"):
        return "good"
    return "bad" if process.get("capture_error") else ""


def cost_text(process: Record, capture: Record | None) -> str:
    """What capturing the traffic of a row has come to, the most important first."""
    if capture is None or not process.get("attached"):
        return ABSENT
    payloads, taken, dropped, spent_us = map(
        capture.get, ("payloads", "payload_bytes", "dropped", "us_per_payload")
    )
    parts = [count(payloads if isinstance(payloads, int) else 0)]
    parts.append(size(taken if isinstance(taken, int) else 0))
    if isinstance(dropped, int) and dropped:
        parts.append(f"{count(dropped)} lost")
    if isinstance(spent_us, float):
        parts.append(duration(spent_us * 1e3))
    return " ".join(parts)


def refusal(process: Record) -> Remark | None:
    """Why the traffic of a row is not captured, where that was asked for."""
    error = process.get("capture_error")
    return Remark("attached", f"✗ {clean(str(error))}") if error else None


def captured_bytes(capture: Record | None) -> SortKey:
    """Sorts by how much was captured."""
    taken = capture.get("payload_bytes") if capture is not None else None
    return (False, float(taken)) if isinstance(taken, int) else (True, "")
