"""What carrying out a wish takes, whatever it is about: an application, an engine, a report."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import App

from engine.core.errors import FailedError
from engine.core.sanitise import clean
from engine.engine import Engine


class Commands:
    """Carries wishes out: asks what is missing, tells the engine, reports what came of it.

    Args:
        app: Shows the dialogs and the reports.
        engine: Does it, off the UI's thread.
        changed: Called when the engine has done something.
    """

    def __init__(self, app: App[None], engine: Engine, changed: Callable[[], None]) -> None:
        self._app = app
        self._engine = engine
        self._changed = changed

    def _require_box(self, what: str) -> None:
        """Refuse to act on what is recorded.

        Raises:
            FailedError: it is a recording.
        """
        if self._engine.snapshot().source_label != "live":
            raise FailedError(
                f"a recording has no {what} to act on",
                fix="start boxscope without replay to act on this box",
            )

    def _report(self, text: str) -> None:
        """Tell what has been done, and have it looked at."""
        self._app.notify(clean(text), markup=False)
        self._changed()
