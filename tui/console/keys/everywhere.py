"""Keys of the whole application."""

from __future__ import annotations

from textual.binding import Binding

_ZOOM = Binding.Group("Zoom", compact=True)

KEYS: tuple[Binding, ...] = (
    Binding(
        "t",
        "switch_cell",
        "Toggle",
        id="toggle",
        tooltip="Switch the subscription under the cursor",
    ),
    Binding(
        "f", "follow", "Follow", id="follow", tooltip="Go to the newest records and stay there"
    ),
    Binding(
        "x",
        "scope",
        "Scope",
        id="scope",
        tooltip="All panes about the selected process only, or about all again",
    ),
    Binding(
        "X",
        "scope_tree",
        "Tree",
        id="scope.tree",
        show=False,
        tooltip="All panes about the selected process and all that descend from it",
    ),
    Binding(
        "i",
        "process",
        "Process",
        id="process.open",
        tooltip="Everything about the process of the selected row",
    ),
    Binding(
        "space",
        "pause",
        "Pause",
        key_display="spc",
        id="pause",
        tooltip="Hold this pane still, or let it go on",
    ),
    Binding(
        "H",
        "chart",
        "Chart",
        id="chart",
        show=False,
        tooltip="A figure over the last minutes, such as events, losses or latency",
    ),
    Binding(
        "d",
        "doctor",
        "Doctor",
        id="doctor",
        show=False,
        tooltip="What boxscope needs on this box, what is missing, and what mends it",
    ),
    Binding(
        "L",
        "log",
        "Log",
        id="log",
        show=False,
        tooltip="What the engine tells about itself: log, counters, probe, traffic",
    ),
    Binding(
        "K",
        "cancel_task",
        "Cancel",
        id="task.cancel",
        tooltip="End what takes long, as the header tells it",
    ),
    Binding("question_mark,f1", "help", "Help", id="help", tooltip="Keys, columns and symbols"),
    Binding("q", "quit", "Quit", id="quit", tooltip="Stop everything and leave"),
    Binding("tab", "next_pane(1)", "Pane", id="pane.next", tooltip="Go to the next pane"),
    Binding(
        "shift+tab",
        "next_pane(-1)",
        "Previous pane",
        id="pane.previous",
        tooltip="Go to the previous pane",
        show=False,
    ),
    Binding("s", "sort", "Sort", id="sort", tooltip="Sort this table by the next column"),
    Binding(
        "S", "reverse", "Reverse", id="sort.reverse", show=False, tooltip="Turn the order round"
    ),
    Binding(
        "Q",
        "query",
        "Query",
        id="query",
        show=False,
        tooltip="Ask what is remembered, or the recording, questions in SQL",
    ),
    Binding("o", "other_part", "Part", id="pane.part", tooltip="Go to the other half of this pane"),
    Binding("0", "overview", "All panes", id="pane.all", tooltip="Go back to all four panes"),
    Binding(
        "escape",
        "step_back",
        "Back",
        id="back",
        tooltip="Back from one pane to all, else out of the scope",
    ),
    *(
        Binding(
            str(number),
            f"zoom({number})",
            f"Zoom {name}",
            id=f"pane.{number}",
            tooltip=f"Show pane {number} alone",
            group=_ZOOM,
        )
        for number, name in enumerate(("Plugins", "Ports", "Events", "Traffic"), 1)
    ),
    Binding(
        "ctrl+c",
        "interrupt",
        "Copy or quit",
        id="quit.interrupt",
        tooltip="Copy the text selected with the mouse; without any, stop everything and leave",
        show=False,
    ),
    Binding(
        "M",
        "mouse",
        "Mouse",
        id="mouse",
        show=False,
        tooltip="Leave the mouse to the terminal, to select text as everywhere, or take it back",
    ),
    Binding(
        "ctrl+z",
        "suspend_process",
        "Suspend",
        id="suspend",
        tooltip="Go back to the shell; fg comes back here",
        show=False,
    ),
)
"""The bindings of the application, in the order of the footer."""

RECORDING_KEYS: tuple[Binding, ...] = (
    Binding("r", "record", "Record", id="record", tooltip="Record everything, or end that"),
    Binding(
        "D",
        "dump",
        "Dump",
        show=False,
        id="record.dump",
        tooltip="Write all that is still in memory into a file",
    ),
)
"""The bindings of the application on a live box, beside the others."""

REPLAY_KEYS: tuple[Binding, ...] = (
    Binding("colon", "seek", "Go to", key_display=":", id="replay.seek", tooltip="Go to a moment"),
    Binding(
        "exclamation_mark",
        "next_problem",
        "Problem",
        key_display="!",
        id="replay.problem",
        tooltip="Go to the next loss or error",
    ),
    Binding(
        "full_stop",
        "step",
        "Step",
        key_display=".",
        show=False,
        id="replay.step",
        tooltip="Go to the next record and stand still",
    ),
    Binding(
        "less_than_sign",
        "speed(-1)",
        "Slower",
        key_display="<",
        show=False,
        id="replay.slower",
        tooltip="Replay more slowly",
    ),
    Binding(
        "greater_than_sign",
        "speed(1)",
        "Faster",
        key_display=">",
        show=False,
        id="replay.faster",
        tooltip="Replay faster",
    ),
)
"""The bindings of the application in a replay, beside the others."""

CHART_KEYS: tuple[Binding, ...] = (
    Binding("left", "cursor(-1)", "Before", id="chart.left", tooltip="Read the value before"),
    Binding("right", "cursor(1)", "After", id="chart.right", tooltip="Read the value after"),
    Binding(
        "home", "first", "Oldest", show=False, id="chart.first", tooltip="Read the oldest value"
    ),
    Binding(
        "end", "last", "Newest", show=False, id="chart.last", tooltip="Read no value, follow time"
    ),
    Binding("up", "figure(-1)", "Figure", id="chart.up", tooltip="The figure before"),
    Binding("down", "figure(1)", "Next figure", show=False, id="chart.down", tooltip="Next figure"),
)
"""The bindings of a chart."""

PALETTE_KEYS: tuple[Binding, ...] = (
    Binding(
        "ctrl+p",
        "command_palette",
        "palette",
        show=False,
        priority=True,
        id="palette",
        tooltip="Everything that can be done, by name",
    ),
)
"""The binding of the palette, which works everywhere."""

WORKSPACE_KEYS: tuple[Binding, ...] = (
    Binding(
        "ctrl+s",
        "save_workspace",
        "Save workspace",
        show=False,
        id="workspace.save",
        tooltip="Write what is subscribed, loaded and filtered into a file to be opened again",
    ),
    Binding(
        "ctrl+t",
        "choose_theme",
        "Theme",
        show=False,
        id="theme",
        tooltip="Choose other colours, and see them meanwhile",
    ),
)
"""The bindings of the application about the console itself, beside the others."""

LEAVE_KEYS: tuple[Binding, ...] = (
    Binding(
        "ctrl+q",
        "quit",
        "Quit",
        show=False,
        priority=True,
        id="quit.anywhere",
        tooltip="Stop everything and leave, from anywhere",
    ),
)
"""The binding that leaves from within everything."""
