"""`python -m tui.cli` is the `boxscope` command."""

from tui.cli.main import run

run()
