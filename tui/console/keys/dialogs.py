"""Keys of dialogs."""

from __future__ import annotations

from textual.binding import Binding

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
