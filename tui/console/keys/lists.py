"""Keys of lists, of what is under their cursor, and of the matrix."""

from __future__ import annotations

from textual.binding import Binding

SUBJECT_KEYS: tuple[Binding, ...] = (
    Binding(
        "F",
        "app.fields",
        "Fields",
        id="subject.fields",
        show=False,
        tooltip="Every field with what it means, why it is here, its bytes, what it belongs to",
    ),
    Binding(
        "y",
        "app.copy('json')",
        "Copy",
        id="subject.copy",
        show=False,
        tooltip="Copy the selected row, or what this screen is about, as JSON",
    ),
    Binding(
        "Y",
        "app.copy('text')",
        "Copy text",
        id="subject.copy_text",
        show=False,
        tooltip="Copy it as a line of text",
    ),
    Binding(
        "E",
        "app.export",
        "Export",
        id="subject.export",
        show=False,
        tooltip="Write the selected row, or all rows shown, into a file that can be replayed",
    ),
)
"""The bindings about one record: the row under the cursor, else what a screen is about."""

LIST_KEYS: tuple[Binding, ...] = (
    Binding(
        "enter", "choose", "Detail", id="row.detail", tooltip="Everything known about this row"
    ),
    Binding(
        "slash",
        "filter",
        "Filter",
        id="row.filter",
        tooltip="Show only the rows that are asked for",
    ),
    Binding(
        "ctrl+f",
        "find",
        "Find",
        id="row.find",
        show=False,
        tooltip="Look for a text or a condition, without hiding the other rows",
    ),
    Binding("n", "find_next(1)", "Next", id="row.next", tooltip="Where it is found next"),
    Binding(
        "N", "find_next(-1)", "Before", id="row.before", tooltip="Where it was found before that"
    ),
    Binding(
        "ctrl+g",
        "go_to_time",
        "Time",
        id="row.time",
        show=False,
        tooltip="Go to what there was at a time, such as 13:05:07 or -30s",
    ),
    Binding("up,k", "cursor(-1)", "Up", show=False, id="row.up", tooltip="The row above"),
    Binding("down,j", "cursor(1)", "Down", show=False, id="row.down", tooltip="The row below"),
    Binding("pageup", "page(-1)", "Page up", show=False, id="row.page_up", tooltip="A page up"),
    Binding(
        "pagedown",
        "page(1)",
        "Page down",
        show=False,
        id="row.page_down",
        tooltip="A page down",
    ),
    Binding("home,g", "first", "First", show=False, id="row.first", tooltip="The first row"),
    Binding("end,G", "last", "Last", show=False, id="row.last", tooltip="The last row"),
    Binding(
        "left", "sideways(-1)", "Left", show=False, id="row.left", tooltip="Scroll to the left"
    ),
    Binding(
        "right",
        "sideways(1)",
        "Right",
        show=False,
        id="row.right",
        tooltip="Scroll to the right, where long text goes on",
    ),
)
"""The bindings of every list."""

MATRIX_KEYS: tuple[Binding, ...] = (
    Binding(
        "enter",
        "open",
        "Open",
        show=False,
        id="cell.switch",
        tooltip="Switch this cell; open or close a family",
    ),
    Binding("slash", "find", "Find", id="matrix.find", tooltip="Look for events by name"),
    Binding(
        "v",
        "view",
        "View",
        id="matrix.view",
        tooltip="All events, only those that are on, only those that deliver",
    ),
    Binding("p", "presets", "Presets", id="matrix.presets", tooltip="Switch a named set on or off"),
    Binding(
        "T", "switch_line", "Line", show=False, id="matrix.line", tooltip="Switch the whole line"
    ),
    Binding(
        "C",
        "switch_column",
        "Column",
        show=False,
        id="matrix.column",
        tooltip="Switch the whole column, as far as it is in view",
    ),
    Binding(
        "c",
        "cost",
        "Cost",
        show=False,
        id="matrix.cost",
        tooltip="Have the kernel time the probe's programs, or no longer",
    ),
    Binding(
        "e",
        "open_all",
        "Open all",
        show=False,
        id="matrix.open_all",
        tooltip="Open every family, or close them all",
    ),
    Binding(
        "escape", "clear", "Show all", id="matrix.clear", tooltip="Show all events of the matrix"
    ),
    Binding("pageup", "page(-1)", "Page up", show=False, id="cell.page_up", tooltip="A page up"),
    Binding(
        "pagedown", "page(1)", "Page down", show=False, id="cell.page_down", tooltip="A page down"
    ),
    Binding(
        "home,g", "edge(False)", "First", show=False, id="cell.first", tooltip="The first line"
    ),
    Binding("end,G", "edge(True)", "Last", show=False, id="cell.last", tooltip="The last line"),
    Binding("up,k", "move(-1, 0)", "Up", show=False, id="cell.up", tooltip="The event above"),
    Binding("down,j", "move(1, 0)", "Down", show=False, id="cell.down", tooltip="Next event"),
    Binding(
        "left,h",
        "move(0, -1)",
        "Left",
        show=False,
        id="cell.left",
        tooltip="The category to the left, then the name, then the family",
    ),
    Binding(
        "right,l",
        "move(0, 1)",
        "Right",
        show=False,
        id="cell.right",
        tooltip="Open the family, then the category to the right",
    ),
)
"""The bindings of the subscription matrix."""

FINDER_KEYS: tuple[Binding, ...] = (
    Binding("enter,tab", "leave", "Done", id="find.done", tooltip="Go to what was found"),
    Binding("escape", "clear", "Forget", id="find.clear", tooltip="Show everything again"),
    Binding("up", "step(-1)", "Up", show=False, id="find.up", tooltip="The line above"),
    Binding("down", "step(1)", "Down", show=False, id="find.down", tooltip="The line below"),
)
"""The bindings of the line one searches in."""

FILTER_KEYS: tuple[Binding, ...] = (
    Binding("enter", "leave", "Done", id="filter.done", tooltip="Go to what is shown"),
    Binding("escape", "clear", "Show all", id="filter.clear", tooltip="Show every row again"),
    Binding("tab", "complete", "Complete", id="filter.complete", tooltip="Complete the word"),
)
"""The bindings of the line one filters with."""

STREAM_KEYS: tuple[Binding, ...] = (
    Binding(
        "f", "follow", "Follow", id="part.follow", tooltip="Go to the newest ones and stay there"
    ),
    Binding(
        "space",
        "pause",
        "Pause",
        key_display="spc",
        id="part.pause",
        tooltip="Hold the streams of this screen still, or let them go on",
    ),
)
"""The bindings of a screen with streams, beside the others."""
