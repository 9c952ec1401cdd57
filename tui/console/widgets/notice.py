"""The notice of a pane whose source cannot run: what is missing, and what to type."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget

from engine.core.sanitise import clean
from engine.core.source import SourceStatus
from tui.console.keymap import with_keys
from tui.console.widgets.honesty import STATE_MARKS

DOCTOR_HINT = " ({doctor}: doctor)"


def notice_lines(statuses: Iterable[SourceStatus], hint: str = "") -> list[tuple[str, str]]:
    """Lines with their styles: a reason for each source that has one, and its fix.

    Args:
        statuses: The sources of the pane.
        hint: Stands beside a trouble, telling where more is to be learnt.
    """
    lines: list[tuple[str, str]] = []
    for status in statuses:
        troubled = status.state in ("failed", "degraded")
        if not status.reason and not troubled:
            continue
        style = {"failed": "bold $text-error", "degraded": "$text-warning"}.get(status.state, "dim")
        more = hint if troubled else ""
        text = f"{STATE_MARKS[status.state]}{clean(status.name)} {status.state}{more}"
        lines.append((f"{text}: {clean(status.reason)}" if status.reason else text, style))
        if status.fix:
            lines.append((f"   fix: {clean(status.fix)}", ""))
    return lines


class Notice(Widget):
    """Out of sight while all sources of the pane run."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[tuple[str, str]] = []
        self.display = False

    @property
    def text(self) -> str:
        """What the notice says."""
        return "\n".join(text for text, _style in self._lines)

    def show(self, statuses: Iterable[SourceStatus], *, live: bool) -> None:
        """Take over the states of the pane's sources, on this box or on a recorded one."""
        lines = notice_lines(statuses, with_keys(self.app, DOCTOR_HINT) if live else "")
        if lines != self._lines:
            self._lines = lines
            self.display = bool(lines)
            self.refresh(layout=True)

    def render(self) -> Content:
        """The lines, wrapped."""
        return Content("\n").join(Content.styled(text, style) for text, style in self._lines)
