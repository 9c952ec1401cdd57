"""The header: which box this is, with which rights, since when, and what is looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from engine.core.clock import local_time_of_day
from engine.core.progress import TaskFacts, progress_text
from engine.core.sanitise import clean
from engine.core.snapshot import RecordingFacts, ReplayFacts, Snapshot
from tui.console.format import size, uptime
from tui.console.widgets.honesty import LEGEND

_SEPARATOR = " · "
_CRUMB = " › "
_SPINNER = "◐◓◑◒"
_LEAST_FACTS = 12
"""Cells that the box keeps of the header while something takes long."""


def header_parts(snapshot: Snapshot, scopes: Sequence[str]) -> list[tuple[int, str]]:
    """What the header may show, left to right, each with its priority (0 = last to go).

    What hides rows goes last: without the way in one would take what is shown for all there is.
    """
    return [
        (0 if scopes else 1, _CRUMB.join([clean(snapshot.host.hostname), *scopes])),
        (5, clean(snapshot.host.kernel)),
        (3, clean(snapshot.host.rights)),
        *([(2, f"up {uptime(snapshot.elapsed_s)}")] if snapshot.replay is None else []),
        _origin(snapshot),
        *([(1, _recording_text(snapshot, snapshot.recording))] if snapshot.recording else []),
        *([(1, _replay_text(snapshot.replay))] if snapshot.replay else []),
    ]


def _origin(snapshot: Snapshot) -> tuple[int, str]:
    """Whose picture it is: this program's own, another engine's, or that of a recording."""
    facts = snapshot.attached
    if facts is not None and facts.lost:
        return 1, f"✗ engine {facts.pid} is gone"
    if facts is not None and facts.silent_s:
        return 1, f"! engine {facts.pid} says nothing for {facts.silent_s:.0f} s"
    if facts is not None:
        return 2, f"attached to {facts.pid}{', read-only' if facts.read_only else ''}"
    live = snapshot.source_label == "live"
    return 6 if live else 1, "live" if live else clean(snapshot.source_label)


def _recording_text(snapshot: Snapshot, facts: RecordingFacts) -> str:
    """What is being recorded, how large it is, and whether it goes well."""
    status = snapshot.sources.get("recording")
    well = status is None or status.state == "running"
    name = clean(facts.path.rpartition("/")[2])
    return f"{'● rec' if well else '✗ rec'} {name} {size(facts.bytes)}"


def _replay_text(facts: ReplayFacts) -> str:
    """Whether a replay plays, where it is, and how fast it goes."""
    mark = "‖ held" if facts.held else "■ end" if facts.at_end else "▶"
    position = uptime((facts.now_ns - facts.first_ns) / 1e9)
    length = uptime((facts.last_ns - facts.first_ns) / 1e9)
    clock = local_time_of_day(facts.now_ns)
    return f"{mark} {clock} {position}/{length} ×{facts.speed:g}"


def tasks_text(tasks: Sequence[TaskFacts], spun: int) -> str:
    """What takes long, the oldest first; empty while nothing does.

    Args:
        tasks: What the engine is busy with.
        spun: How often this was looked at: the sign before it turns.
    """
    long = [task for task in tasks if task.is_long]
    if not long:
        return ""
    more = f" +{len(long) - 1}" if len(long) > 1 else ""
    return f"{_SPINNER[spun % len(_SPINNER)]} {progress_text(long[0])}{more}"


def header_text(snapshot: Snapshot, scopes: Sequence[str], width: int) -> str:
    """The parts that fit `width` cells, least important ones left out first."""
    parts = header_parts(snapshot, scopes)
    while len(parts) > 1 and len(_SEPARATOR.join(text for _priority, text in parts)) > width:
        parts.remove(max(parts, key=lambda part: part[0]))
    if len(parts) == 1 and scopes and len(parts[0][1]) > width:
        return f"…{_CRUMB}{scopes[-1]}"[: max(0, width)]
    return _SEPARATOR.join(text for _priority, text in parts)


def crumb_at(text: str, scopes: Sequence[str], x: int) -> int | None:
    """Which step of the way in is at a cell of the header's text: 0 the host, 1 the first scope.

    None beside the way, and where it is cut short.
    """
    end = len(text)
    for depth in range(len(scopes), -1, -1):
        if depth:
            begin = text.rfind(f"{_CRUMB}{scopes[depth - 1]}", 0, end)
            if begin < 0:
                return None
            if begin + len(_CRUMB) <= x < begin + len(_CRUMB) + len(scopes[depth - 1]):
                return depth
            end = begin
        elif x < end and x < len(text.partition(_CRUMB)[0]):
            return 0
    return None


class HeaderLine(Widget):
    """One line on top of the screen."""

    ALLOW_SELECT = False
    NAME = " boxscope "

    class CrumbClicked(Message):
        """Somebody wants to go back to a scope of the way in."""

        def __init__(self, depth: int) -> None:
            super().__init__()
            self.depth = depth
            """How many scopes stay entered; 0 for none."""

    def __init__(self) -> None:
        super().__init__()
        self._snapshot: Snapshot | None = None
        self._progress = ""
        self._cancellable = False
        self._spun = 0
        self.scopes: tuple[str, ...] = ()

    def show(self, snapshot: Snapshot) -> None:
        """Take over a new snapshot."""
        self._snapshot = snapshot
        self.refresh()

    @property
    def progress(self) -> str:
        """What takes long, as it is told; empty while nothing does."""
        return self._progress

    def show_tasks(self, tasks: Sequence[TaskFacts]) -> bool:
        """Tell what takes long; returns whether other keys apply now."""
        text = tasks_text(tasks, self._spun)
        self._spun += 1
        if text != self._progress:
            self._progress = text
            self.refresh()
        before, self._cancellable = (
            self._cancellable,
            any(task.is_long and task.cancellable and not task.cancelled for task in tasks),
        )
        return before != self._cancellable

    def show_scope(self, scopes: Iterable[str]) -> None:
        """Say which process is looked at, and in which other scopes that was asked for."""
        self.scopes = tuple(scopes)
        self.refresh()

    def render(self) -> Content:
        """The line as it fits now."""
        name = Content.styled(self.NAME, "bold reverse")
        if self._snapshot is None:
            return name
        room = self._room
        progress = self._fitting_progress
        text = self._facts(self._snapshot)
        if progress:
            return Content.assemble(name, " ", (progress, "bold $text-accent"), " ", text)
        legend = f"{LEGEND} ".rjust(room - len(text)) if len(text) + len(LEGEND) + 3 < room else ""
        return Content.assemble(name, " ", text, (legend, "dim"))

    @property
    def _room(self) -> int:
        return self.size.width - len(self.NAME) - 1

    @property
    def _fitting_progress(self) -> str:
        """As much of what takes long as leaves room for the rest."""
        return self._progress[: max(0, self._room - _LEAST_FACTS)]

    def _facts(self, snapshot: Snapshot) -> str:
        """What is told of the box, behind the progress."""
        progress = self._fitting_progress
        return header_text(
            snapshot, self.scopes, self._room - (len(progress) + 1 if progress else 0)
        )

    def on_click(self, event: events.Click) -> None:
        """Go back to the step of the way in that was hit."""
        if self._snapshot is None or not self.scopes:
            return
        progress = self._fitting_progress
        begin = len(self.NAME) + 1 + (len(progress) + 1 if progress else 0)
        depth = crumb_at(self._facts(self._snapshot), self.scopes, event.x - begin)
        if depth is not None and depth < len(self.scopes):
            self.post_message(self.CrumbClicked(depth))
