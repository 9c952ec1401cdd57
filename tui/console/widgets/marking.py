"""Classes that change the look of one widget and of nothing inside it."""

from __future__ import annotations

from textual.widget import Widget


def mark(widget: Widget, wanted: bool, name: str) -> None:
    """Give a widget a class, or take it away, without styling all that is inside it anew.

    That would take half of the time from a key to the screen. So no rule of a style sheet may
    lead from such a class to another widget.
    """
    if widget.has_class(name) == wanted:
        return
    widget.set_class(wanted, name, update=False)
    if widget.is_attached:
        widget.app.stylesheet.apply(widget)
