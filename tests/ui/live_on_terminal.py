"""The console over a real plugin: `python -m tests.ui.live_on_terminal EXECUTABLE [DETAIL]`."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.selection import PluginRequest, Selection
from tui.console.run import run_console

if __name__ == "__main__":
    plugin = PluginRequest(Path(sys.argv[1]), detail="".join(sys.argv[2:]))
    sys.exit(run_console(LiveEngine(Selection(agent=True, plugins=(plugin,)), Settings())))
