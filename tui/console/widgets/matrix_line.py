"""What a line of the matrix looks like, and what is said of the switch under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.core.sanitise import clean
from tui.console.format import count, rate
from tui.console.widgets.cells import Line, Sum, short_name
from tui.console.widgets.columns import cell
from tui.console.widgets.switches import Switches

TOO_MUCH = "choose a family or a column, {matrix.find} finds, {matrix.presets} for presets"
"""What to do instead of turning everything on, which would tell nothing."""

CELL = 8
"""Width of a switch."""
LABEL = 24
"""Width of the names."""

Styles: TypeAlias = Callable[[str, bool], Style]
"""The style of that name, and whether the cursor is there."""


def title(switches: Switches, style: Style) -> tuple[Segment, Strip]:
    """The headings: the view above the names, the categories above the switches."""
    titles = "".join(cell(" " + clean(name), CELL) for name in switches.categories)
    name = " event" if switches.view == "all" else f" only {switches.view}"
    return Segment(cell(name, LABEL), style), Strip([Segment(titles, style)])


def contents(
    switches: Switches, line: Line, column: str | None, styles: Styles
) -> tuple[Segment, Strip]:
    """The name of a line, and its switches.

    Args:
        switches: All there are.
        line: The one to draw.
        column: Where on this line the cursor is, empty for the name; None if it is elsewhere.
        styles: Where styles come from.
    """
    drawn = [_switch(switches, line, each, each == column, styles) for each in switches.categories]
    return _label(switches, line, column == "", styles), Strip(drawn)


def _label(switches: Switches, line: Line, here: bool, styles: Styles) -> Segment:
    style = styles("" if line.kind == "event" else "family", here)
    mark = "›" if here else " "
    if line.kind == "event":
        return Segment(cell(f"{mark}  {short_name(line.name)}", LABEL), style)
    whole = switches.sum_of(line) or Sum(0, 0, 0.0, 0, "")
    numbers = f"{whole.on}/{whole.switches} "
    if line.kind == "all":
        name = _everything(switches)
    else:
        name = f"{'▾' if switches.is_open(line.name) else '▸'} {clean(line.name)}"
    return Segment(cell(f"{mark}{name}", LABEL - len(numbers)) + numbers, style)


def _switch(switches: Switches, line: Line, column: str, here: bool, styles: Styles) -> Segment:
    shown = switches.sum_of(line, column)
    if shown is None:
        return Segment(" " * CELL, styles("", False))
    if shown.reason:
        text, name = "×", "unavailable"
    elif shown.on:
        symbol = "●" if shown.on == shown.switches else "◐"
        text, name = f"{symbol} {rate(shown.rate)}", "on"
    else:
        text, name = "○", "off"
    return Segment(cell(("›" if here else " ") + text, CELL), styles(name, here))


def _everything(switches: Switches) -> str:
    return "everything" if not switches.search else "all found"


def describe(switches: Switches, line: Line | None, column: str) -> str:
    """What is under the cursor in one line: full name, state, rate, total, or why it is not.

    The key that switches stands in it by its id, `{toggle}`.
    """
    shown = switches.sum_of(line, column) if line else None
    if line is None or shown is None:
        return ""
    name = _everything(switches) if line.kind == "all" else clean(line.name)
    if column:
        name += f":{clean(column)}"
    if shown.reason:
        return f"× {name} · {clean(shown.reason)}"
    if shown.switches > 1:
        symbol = "○" if not shown.on else "●" if shown.on == shown.switches else "◐"
        does = "{toggle} switches " + ("off" if shown.on else "on")
        if not shown.on and switches.is_whole(line, column):
            again = len(switches.put_off)
            does = f"{{toggle}} switches {again} on again" if again else TOO_MUCH
        speed = f" · {rate(shown.rate)}/s" if shown.on else ""
        return f"{symbol} {name} {shown.on} of {shown.switches} on{speed} · {does}"
    if not shown.on:
        return f"○ {name} off · {{toggle}} switches it on"
    return f"● {name} on · {rate(shown.rate)}/s · {count(shown.total)} so far"
