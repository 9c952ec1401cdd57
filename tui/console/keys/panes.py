"""Keys of the panes and of what is opened from their rows."""

from __future__ import annotations

from textual.binding import Binding

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
