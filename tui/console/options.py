"""How the console is to look and to be worked with, as the settings and a workspace say."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.settings import LoadedSettings
from engine.workspace import OpenedWorkspace
from tui.console.keymap import Keymap, read_keymap
from tui.console.themes import DARK, check_theme


@dataclass(frozen=True)
class ConsoleOptions:
    """What is chosen before the console is drawn."""

    keymap: Keymap = field(default_factory=Keymap)
    theme: str = DARK.name
    """A name of `themes.THEMES`."""
    stream_redraws: float = 5.0
    """How often a second the streams are drawn."""
    table_redraws: float = 1.0
    """How often a second the tables and the header are drawn."""
    workspace: OpenedWorkspace = field(default_factory=OpenedWorkspace)
    """What is to be opened once the engine runs."""


def console_options(
    loaded: LoadedSettings, workspace: OpenedWorkspace | None = None
) -> ConsoleOptions:
    """Check what the settings say about the console.

    Raises:
        UsageError: a key or the theme cannot be; the message says where it stands.
    """
    return ConsoleOptions(
        keymap=read_keymap(loaded),
        theme=check_theme(loaded),
        stream_redraws=loaded.values.stream_redraws,
        table_redraws=loaded.values.table_redraws,
        workspace=workspace or OpenedWorkspace(),
    )
