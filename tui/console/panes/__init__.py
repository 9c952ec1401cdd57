"""The four panes of the console, one module each."""
