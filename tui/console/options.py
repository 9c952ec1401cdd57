"""How the console is to look and to be worked with, as the settings and a workspace say."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.settings import LoadedSettings
from engine.workspace import OpenedWorkspace
from tui.console.keymap import Keymap, read_keymap
from tui.console.themes import check_theme


@dataclass(frozen=True)
class ConsoleOptions:
    """What is chosen before the console is drawn."""

    keymap: Keymap = field(default_factory=Keymap)
    theme: str = ""
    """A name of `themes.THEMES`; empty for Textual's own choice."""
    workspace: OpenedWorkspace = field(default_factory=OpenedWorkspace)
    """What is to be opened once the engine runs."""


def console_options(
    loaded: LoadedSettings, workspace: OpenedWorkspace | None = None
) -> ConsoleOptions:
    """Check what the settings say about the console.

    Raises:
        UsageError: a key or the theme cannot be; the message says where it stands.
    """
    return ConsoleOptions(read_keymap(loaded), check_theme(loaded), workspace or OpenedWorkspace())
