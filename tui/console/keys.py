"""The keys of the console: every binding with its id, so that a keymap can change it.

The actions are methods of the application; which of them apply now is decided there too.
"""

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

PLUGIN_KEYS: tuple[Binding, ...] = (
    Binding(
        "l",
        "load_plugin",
        "Load",
        id="plugin.load",
        tooltip="Start an executable as a plugin",
    ),
    Binding(
        "m",
        "load_module",
        "Module",
        show=False,
        id="module.load",
        tooltip="Load an in-process module into a runner of its own",
    ),
    Binding(
        "v",
        "judge_module",
        "Verdict",
        show=False,
        id="module.judge",
        tooltip="What is known of a module's file without running it",
    ),
    Binding(
        "c",
        "call_module",
        "Call",
        id="module.call",
        tooltip="Call a method of the selected module",
    ),
    Binding(
        "T",
        "send_task",
        "Task",
        id="plugin.task",
        tooltip="Send the selected plugin a task",
    ),
    Binding(
        "R",
        "restart_plugin",
        "Restart",
        id="plugin.restart",
        tooltip="Stop the selected plugin, if it runs, and start it again",
    ),
    Binding(
        "u",
        "unload_plugin",
        "Unload",
        id="plugin.unload",
        tooltip="Stop the selected plugin and take it off the list",
    ),
)
"""The bindings of the plugins pane, and of the screen about one plugin."""

PORT_KEYS: tuple[Binding, ...] = (
    Binding(
        "w",
        "why",
        "Why",
        id="process.why",
        tooltip="Every condition that selected the process under the cursor, or did not",
    ),
    Binding(
        "W",
        "why_other",
        "Why another",
        id="process.why_other",
        tooltip="Why a process is selected or not that is not listed here",
    ),
    Binding(
        "e",
        "edit_ports",
        "Ports",
        id="process.ports",
        tooltip="Look for processes by other ports",
    ),
    Binding(
        "a",
        "attach",
        "Attach",
        id="port.attach",
        tooltip="Capture the traffic of the selected process, or no longer",
    ),
)
"""The bindings of the ports pane."""

PROCESS_KEYS: tuple[Binding, ...] = (
    Binding(
        "x",
        "scope(False)",
        "Scope",
        id="process.scope",
        tooltip="Go to the pane of this part, about this process only",
    ),
    Binding(
        "X",
        "scope(True)",
        "Tree",
        id="process.scope_tree",
        tooltip="Go there with all that descend from this process, too",
    ),
)
"""The bindings of the screen about one process, beside the others."""

PART_KEYS: tuple[Binding, ...] = (
    Binding(
        "tab", "next_part(1)", "Part", id="part.next", tooltip="Go to the next part of the screen"
    ),
    Binding(
        "shift+tab",
        "next_part(-1)",
        "Previous part",
        id="part.previous",
        tooltip="Go to the previous part of the screen",
        show=False,
    ),
    *(
        Binding(
            str(number),
            f"part({number})",
            f"Part {number}",
            id=f"part.{number}",
            tooltip=f"Show part {number} alone",
            show=False,
        )
        for number in range(1, 6)
    ),
    Binding("0", "all_parts", "All parts", id="part.all", tooltip="Show all parts of the screen"),
    Binding("escape,q", "close", "Close", id="part.close", tooltip="Go back"),
    Binding(
        "H",
        "app.chart",
        "Chart",
        id="part.chart",
        tooltip="A figure of this over the last minutes",
        show=False,
    ),
    Binding(
        "question_mark,f1",
        "app.help",
        "Help",
        id="part.help",
        tooltip="Keys, columns and symbols",
        show=False,
    ),
    Binding(
        "ctrl+c",
        "app.interrupt",
        "Copy or quit",
        id="part.quit",
        tooltip="Copy the text selected with the mouse; without any, stop everything and leave",
        show=False,
    ),
)
"""The bindings of a screen that shows several parts."""

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

WASM_KEYS: tuple[Binding, ...] = (
    Binding("l", "load_wasm", "Load", id="wasm.load", tooltip="Load a Wasm plugin"),
    Binding(
        "R",
        "reload_wasm",
        "Reload",
        id="wasm.reload",
        tooltip="Load the selected Wasm plugin's file again, and offer it its last messages again",
    ),
    Binding(
        "u",
        "unload_wasm",
        "Unload",
        id="wasm.unload",
        tooltip="Take the selected Wasm plugin out of the chain",
    ),
)
"""The bindings of the traffic pane about plugins, and of the screen about one Wasm plugin."""

CALL_KEYS: tuple[Binding, ...] = (
    Binding(
        "a",
        "run_again",
        "Again",
        id="call.again",
        tooltip="Offer the payload to its Wasm plugin again, on a fresh instance",
    ),
    Binding(
        "e",
        "edit_payload",
        "Edit",
        id="call.edit",
        tooltip="Edit the payload's bytes or cut it, and offer that to its Wasm plugin",
    ),
)
"""The bindings of what has a payload: messages, and calls of Wasm plugins."""

RUN_KEYS: tuple[Binding, ...] = (
    Binding(
        "d",
        "all_runs",
        "Differing",
        id="runs.all",
        tooltip="All messages that were offered again, or only those with another result",
    ),
)
"""The bindings of the screen about one Wasm plugin, beside the others."""

RECORD_KEYS: tuple[Binding, ...] = (
    Binding("n", "step(1)", "Next", id="record.next", tooltip="The next one"),
    Binding("p", "step(-1)", "Previous", id="record.previous", tooltip="The previous one"),
)
"""The bindings of what inspects records one by one, beside the others."""

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

DETAIL_KEYS: tuple[Binding, ...] = (
    Binding("i", "process", "Process", id="detail.process", tooltip="The process it is of"),
    Binding(
        "b", "other_bytes", "Bytes", id="detail.bytes", tooltip="The other bytes of this record"
    ),
    Binding("enter", "close", "Close", show=False, id="detail.close", tooltip="Go back"),
)
"""The bindings of the screen with every field of a record, beside the others."""

GAP_KEYS: tuple[Binding, ...] = (
    Binding("enter", "close", "Close", show=False, id="gap.close", tooltip="Go back"),
)
"""The bindings of the screen about records that a stream leaves out, beside the others."""

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

DIALOG_KEYS: tuple[Binding, ...] = (
    Binding("enter", "accept", "OK", id="dialog.accept", tooltip="Do it"),
    Binding("escape,ctrl+c", "cancel", "Cancel", id="dialog.cancel", tooltip="Change nothing"),
    Binding("down", "next_field(1)", "Next field", id="dialog.next", tooltip="The next field"),
    Binding(
        "up", "next_field(-1)", "Previous field", id="dialog.previous", tooltip="The field before"
    ),
)
"""The bindings of every dialog; `tab` goes through its fields too."""

CONFIRM_KEYS: tuple[Binding, ...] = (
    Binding("y", "accept", "Yes", id="confirm.yes", tooltip="Do it"),
    Binding("n", "cancel", "No", id="confirm.no", tooltip="Change nothing"),
)
"""The bindings of a dialog that only asks, beside the others."""

PATH_KEYS: tuple[Binding, ...] = (
    Binding("tab", "complete", "Complete", id="path.complete", tooltip="Complete the path"),
)
"""The bindings of a field for a path."""

HEX_KEYS: tuple[Binding, ...] = (
    Binding(
        "enter",
        "screen.accept",
        "OK",
        id="hex.accept",
        tooltip="Do it, from within the bytes too",
        show=False,
        priority=True,
    ),
)
"""The bindings of a field for bytes."""

PRESET_KEYS: tuple[Binding, ...] = (
    Binding("u", "off", "Off", id="preset.off", tooltip="Switch the preset off"),
    Binding("escape,q,p", "close", "Close", id="preset.close", tooltip="Change nothing"),
)
"""The bindings of the list of presets; `enter` switches one on."""

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

SECTIONS: tuple[tuple[str, tuple[Binding, ...]], ...] = (
    ("Keys", (*KEYS, *PALETTE_KEYS, *WORKSPACE_KEYS, *LEAVE_KEYS)),
    ("Recording", RECORDING_KEYS),
    ("In a replay", REPLAY_KEYS),
    ("In lists", (*LIST_KEYS, *FILTER_KEYS)),
    ("About one record, in lists and on its screen", SUBJECT_KEYS),
    ("In the matrix", (*MATRIX_KEYS, *FINDER_KEYS, *PRESET_KEYS)),
    ("Plugins", PLUGIN_KEYS),
    ("Ports", PORT_KEYS),
    ("Traffic and Wasm plugins", (*WASM_KEYS, *CALL_KEYS, *RUN_KEYS)),
    ("About one process", PROCESS_KEYS),
    ("About one plugin, process, record or message", (*PART_KEYS, *STREAM_KEYS, *RECORD_KEYS)),
    ("Of a chart", (*CHART_KEYS, *CHART_SCREEN_KEYS)),
    ("Of the doctor", DOCTOR_KEYS),
    (
        "On what is shown over the panes",
        (*WHY_KEYS, *VERDICT_KEYS, *HELP_KEYS, *THEME_KEYS),
    ),
    ("With every field of a record", (*DETAIL_KEYS, *GAP_KEYS)),
    (
        "Questions in SQL",
        (*QUERY_KEYS, *SQL_KEYS, *ANSWER_KEYS, *ANSWER_ROW_KEYS, *USEFUL_KEYS),
    ),
    ("In dialogs", (*DIALOG_KEYS, *CONFIRM_KEYS, *PATH_KEYS, *HEX_KEYS)),
)
"""All of them, as the help shows them."""
