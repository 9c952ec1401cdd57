"""Waiting in UI tests: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input

from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView

DEADLINE_S = 10.0
_REST = 3
"""Looks in a row that show the same, before it counts as rest."""


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the application run until the condition holds.

    Raises:
        AssertionError: if it does not hold in time.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"in {DEADLINE_S} s it did not happen: {what}"
        await pilot.pause(0.01)


async def until_shown(pilot: Pilot[None], text: str) -> None:
    """Let the application run until a text is on the screen."""
    await until(pilot, lambda: text in screen_text(pilot), text)


async def at_rest(pilot: Pilot[None]) -> None:
    """Let the application run until every list is drawn for the size it has got, and nothing on
    the screen changes any more while it is idle.

    Raises:
        AssertionError: if that is not so in time.
    """
    for line in pilot.app.screen.query(Input):
        line.cursor_blink = False
    deadline, before, same = time.monotonic() + DEADLINE_S, "", 0
    while same < _REST or _unsettled(pilot):
        assert time.monotonic() < deadline, f"not at rest: {_unsettled(pilot)}, {same} looks"
        await pilot.pause(0.01)
        await pilot.pause()
        now = pilot.app.export_screenshot()
        before, same = now, same + 1 if now == before else 0


def _unsettled(pilot: Pilot[None]) -> list[str]:
    """The lists that are not drawn for the size they have got, and why."""
    found: list[str] = []
    for view in pilot.app.screen.query("LineView"):
        if not isinstance(view, LineView) or not view.is_on_screen:
            continue
        if view.virtual_size.width != view.size.width:
            found.append(f"{view!r}: {view.virtual_size} in {view.size}")
        if isinstance(view, StreamView) and view.moving and view.scroll_y != view.max_scroll_y:
            found.append(f"{view!r}: at {view.scroll_y} of {view.max_scroll_y}")
    return found


def text_of(widget: Widget) -> str:
    """What a widget shows, line by line."""
    strips = widget.render_lines(widget.size.region)
    return "\n".join(strip.text.rstrip() for strip in strips)


def screen_text(pilot: Pilot[None]) -> str:
    """What the whole screen shows."""
    return "\n".join(
        "".join(segment.text for segment in line)
        for line in pilot.app.screen._compositor.render_strips()
    )
