"""Waiting in UI tests: for a condition, never for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from textual.pilot import Pilot
from textual.widget import Widget

from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView

DEADLINE_S = 10.0


async def until(pilot: Pilot[None], condition: Callable[[], object], what: str = "") -> None:
    """Let the application run until the condition holds.

    Raises:
        AssertionError: if it does not hold in time.
    """
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"in {DEADLINE_S} s it did not happen: {what}"
        await pilot.pause(0.01)


async def at_rest(pilot: Pilot[None]) -> None:
    """Let the application run until every list is drawn for the size it has got."""
    views = pilot.app.screen.query(LineView)
    await until(pilot, lambda: all(_is_settled(view) for view in views), "lists at rest")
    await pilot.pause()


def _is_settled(view: LineView[Any]) -> bool:
    if not view.is_on_screen:
        return True
    if isinstance(view, StreamView) and view.moving and view.scroll_y != view.max_scroll_y:
        return False
    return view.virtual_size.width == view.size.width


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
