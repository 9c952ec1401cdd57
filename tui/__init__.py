"""Front ends: the `boxscope` command (tui.cli) and the console (tui.console)."""
