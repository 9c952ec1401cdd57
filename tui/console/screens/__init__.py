"""The screens of the console: the four panes, help, and the detail of one record."""
