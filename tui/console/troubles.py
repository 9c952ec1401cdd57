"""Sources that have no pane to tell their state in: what befalls them is told as it happens."""

from __future__ import annotations

from collections.abc import Collection

from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.core.source import SourceStatus

_TROUBLED = ("degraded", "failed")


class Troubles:
    """Notices when a source that no pane tells about cannot go on as it should.

    Args:
        told: Sources whose state a pane shows.
    """

    def __init__(self, told: Collection[str]) -> None:
        self._told = frozenset(told)
        self._known: dict[str, tuple[str, str]] = {}

    def news(self, snapshot: Snapshot) -> list[str]:
        """What is wrong that was not at the look before; nothing of a recording's past."""
        if snapshot.replay is not None:
            return []
        before = self._known
        self._known = {
            name: (status.state, status.reason)
            for name, status in snapshot.sources.items()
            if name not in self._told and status.state in _TROUBLED and status.reason
        }
        return [
            _text(snapshot.sources[name])
            for name, state in self._known.items()
            if before.get(name) != state
        ]


def _text(status: SourceStatus) -> str:
    fix = f"\n{clean(status.fix)}" if status.fix else ""
    return f"{clean(status.name)} {status.state}: {clean(status.reason)}{fix}"
