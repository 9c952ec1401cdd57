"""The presets as the console offers them."""

from __future__ import annotations

from tui.console import screens
from tui.console.widgets.switches import Switches


def preset_choices(switches: Switches) -> list[screens.Choice]:
    """Every preset with how many of its switches are on, of those that can be turned.

    Args:
        switches: What the engine has; a recording may know fewer events.
    """
    from engine.probe.patterns import PRESET_MARK, cells_of_all
    from engine.probe.presets import PRESETS

    choices = []
    for preset in PRESETS:
        keys = {
            (cell.event.name, cell.category.label) for cell in cells_of_all(preset.subscriptions)
        }
        usable = [
            key for key in keys & switches.cells.keys() if not switches.cells[key].unavailable
        ]
        on = sum(map(switches.is_on, usable))
        choices.append(screens.Choice(PRESET_MARK + preset.name, preset.help, on, len(usable)))
    return choices
