"""The header: which box this is, with which rights, since when, and what is looked at."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import uptime
from tui.console.widgets.honesty import LEGEND

_SEPARATOR = " · "


def header_parts(snapshot: Snapshot, scope: str) -> list[tuple[int, str]]:
    """What the header may show, left to right, each with its priority (1 = last to go)."""
    live = snapshot.source_label == "live"
    return [
        (1, clean(snapshot.host.hostname)),
        (5, clean(snapshot.host.kernel)),
        (3, clean(snapshot.host.rights)),
        (2, f"up {uptime(snapshot.elapsed_s)}"),
        (4, f"scope {scope}"),
        (6 if live else 1, "live" if live else clean(snapshot.source_label)),
    ]


def header_text(snapshot: Snapshot, scope: str, width: int) -> str:
    """The parts that fit `width` cells, least important ones left out first."""
    parts = header_parts(snapshot, scope)
    while len(parts) > 1 and len(_SEPARATOR.join(text for _priority, text in parts)) > width:
        parts.remove(max(parts, key=lambda part: part[0]))
    return _SEPARATOR.join(text for _priority, text in parts)


class HeaderLine(Widget):
    """One line on top of the screen."""

    ALLOW_SELECT = False
    NAME = " boxscope "

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self.scope = "all"

    def show(self, snapshot: Snapshot) -> None:
        """Take over a new snapshot."""
        self._snapshot = snapshot
        self.refresh()

    def show_scope(self, scope: str) -> None:
        """Say what is looked at."""
        self.scope = scope
        self.refresh()

    def render(self) -> Content:
        """The line as it fits now."""
        name = Content.styled(self.NAME, "bold reverse")
        if self._snapshot is None:
            return name
        room = self.size.width - len(self.NAME) - 1
        text = header_text(self._snapshot, self.scope, room)
        legend = f"{LEGEND} ".rjust(room - len(text)) if len(text) + len(LEGEND) + 3 < room else ""
        return Content.assemble(name, " ", text, (legend, "dim"))
