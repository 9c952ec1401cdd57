"""The keys of the console: every binding with its id, so that a keymap can change it.

The actions are methods of the application; which of them apply now is decided there too.
"""

from __future__ import annotations

from textual.binding import Binding

from tui.console.keys.dialogs import (
    CONFIRM_KEYS,
    DIALOG_KEYS,
    HEX_KEYS,
    PATH_KEYS,
    PRESET_KEYS,
)
from tui.console.keys.everywhere import (
    CHART_KEYS,
    KEYS,
    LEAVE_KEYS,
    PALETTE_KEYS,
    RECORDING_KEYS,
    REPLAY_KEYS,
    WORKSPACE_KEYS,
)
from tui.console.keys.lists import (
    FILTER_KEYS,
    FINDER_KEYS,
    LIST_KEYS,
    MATRIX_KEYS,
    STREAM_KEYS,
    SUBJECT_KEYS,
)
from tui.console.keys.panes import (
    CALL_KEYS,
    DETAIL_KEYS,
    GAP_KEYS,
    PART_KEYS,
    PLUGIN_KEYS,
    PORT_KEYS,
    PROCESS_KEYS,
    RECORD_KEYS,
    RUN_KEYS,
    WASM_KEYS,
)
from tui.console.keys.screens import (
    ANSWER_KEYS,
    ANSWER_ROW_KEYS,
    CHART_SCREEN_KEYS,
    DOCTOR_KEYS,
    HELP_KEYS,
    QUERY_KEYS,
    SQL_KEYS,
    THEME_KEYS,
    USEFUL_KEYS,
    VERDICT_KEYS,
    WHY_KEYS,
)

__all__ = [
    "ANSWER_KEYS",
    "ANSWER_ROW_KEYS",
    "CALL_KEYS",
    "CHART_KEYS",
    "CHART_SCREEN_KEYS",
    "CONFIRM_KEYS",
    "DETAIL_KEYS",
    "DIALOG_KEYS",
    "DOCTOR_KEYS",
    "FILTER_KEYS",
    "FINDER_KEYS",
    "GAP_KEYS",
    "HELP_KEYS",
    "HEX_KEYS",
    "KEYS",
    "LEAVE_KEYS",
    "LIST_KEYS",
    "MATRIX_KEYS",
    "PALETTE_KEYS",
    "PART_KEYS",
    "PATH_KEYS",
    "PLUGIN_KEYS",
    "PORT_KEYS",
    "PRESET_KEYS",
    "PROCESS_KEYS",
    "QUERY_KEYS",
    "RECORDING_KEYS",
    "RECORD_KEYS",
    "REPLAY_KEYS",
    "RUN_KEYS",
    "SECTIONS",
    "SQL_KEYS",
    "STREAM_KEYS",
    "SUBJECT_KEYS",
    "THEME_KEYS",
    "USEFUL_KEYS",
    "VERDICT_KEYS",
    "WASM_KEYS",
    "WHY_KEYS",
    "WORKSPACE_KEYS",
]

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
