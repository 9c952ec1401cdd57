"""Keys of screens that are opened from anywhere."""

from __future__ import annotations

from textual.binding import Binding

CHART_SCREEN_KEYS: tuple[Binding, ...] = (
    Binding("w", "window(0)", "Window", id="chart.window", tooltip="1, 5 or 15 minutes"),
    Binding(
        "plus", "window(1)", "More time", show=False, id="chart.more", tooltip="Show more time"
    ),
    Binding(
        "minus", "window(-1)", "Less time", show=False, id="chart.less", tooltip="Show less time"
    ),
    Binding("slash", "search", "Find", id="chart.find", tooltip="Look for a figure by its name"),
)
"""The bindings of the screen with a chart and the list of figures, beside the others."""

DOCTOR_KEYS: tuple[Binding, ...] = (
    Binding("r", "rerun", "Again", id="doctor.again", tooltip="Make all checks again"),
    Binding("c", "copy_fix", "Copy", id="doctor.copy", tooltip="Copy what mends the check"),
)
"""The bindings of the doctor's screen, beside the others."""

SQL_KEYS: tuple[Binding, ...] = (
    Binding("tab", "complete", "Complete", id="sql.complete", tooltip="Complete the word"),
    Binding(
        "ctrl+up",
        "earlier(-1)",
        "Earlier",
        id="sql.earlier",
        tooltip="The question that was asked before",
    ),
    Binding(
        "ctrl+down",
        "earlier(1)",
        "Later",
        show=False,
        id="sql.later",
        tooltip="The question that was asked after it",
    ),
)
"""The bindings of a question in SQL being written."""

QUERY_KEYS: tuple[Binding, ...] = (
    Binding("f5,ctrl+r", "ask", "Ask", id="query.ask", tooltip="Ask what is written"),
    Binding("f2", "useful", "Useful", id="query.useful", tooltip="Choose a useful question"),
    Binding("s", "sort", "Sort", id="query.sort", tooltip="Sort the answer by the next column"),
    Binding(
        "S",
        "reverse",
        "Reverse",
        show=False,
        id="query.reverse",
        tooltip="Turn the order of the answer round",
    ),
)
"""The bindings of the screen for questions, beside those of what shows several parts."""

ANSWER_KEYS: tuple[Binding, ...] = (
    Binding("y", "copy_row", "Copy", id="answer.copy", tooltip="Copy the row as JSON"),
    Binding(
        "E",
        "export_rows",
        "Export",
        id="answer.export",
        tooltip="Write the answer into a file, as CSV or JSON Lines",
    ),
)
"""The bindings of an answer."""

ANSWER_ROW_KEYS: tuple[Binding, ...] = (
    Binding("escape,enter,q", "dismiss", "Close", id="answer.close", tooltip="Back to the rows"),
)
"""The bindings of one row of an answer."""

USEFUL_KEYS: tuple[Binding, ...] = (
    Binding("escape,q", "dismiss", "Close", id="useful.close", tooltip="Ask nothing"),
)
"""The bindings of the list of useful questions; `enter` asks one."""

HELP_KEYS: tuple[Binding, ...] = (
    Binding(
        "escape,q,question_mark,f1",
        "dismiss",
        "Close",
        id="help.close",
        tooltip="Back to the panes",
    ),
)
"""The bindings of the help."""

THEME_KEYS: tuple[Binding, ...] = (
    Binding("escape,q", "close", "Close", id="theme.close", tooltip="Keep the former colours"),
)
"""The bindings of the list of themes; `enter` keeps one."""

VERDICT_KEYS: tuple[Binding, ...] = (
    Binding(
        "escape,enter,q,v", "dismiss", "Close", id="verdict.close", tooltip="Back to the panes"
    ),
)
"""The bindings of the verdict on a module."""

WHY_KEYS: tuple[Binding, ...] = (
    Binding(
        "escape,enter,q,w",
        "dismiss",
        "Close",
        id="why.close",
        tooltip="Back to the panes",
    ),
    Binding(
        "a",
        "attach",
        "Attach",
        id="why.attach",
        tooltip="Capture the traffic of this process, or no longer",
    ),
)
"""The bindings of the decision about a process."""
