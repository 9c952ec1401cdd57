"""The dialog that goes to a moment of a replay."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.core.clock import local_time_of_day
from engine.core.errors import UsageError
from engine.core.snapshot import ReplayFacts
from engine.recording.moment import EXAMPLES, parse_moment
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry

Seek = Callable[[int], None]
"""Goes to a moment, in nanoseconds since the epoch."""


class SeekDialog(Dialog[int]):
    """Asks for a moment; gives the one that was gone to.

    Args:
        facts: How far the replay reaches.
        seek: Goes there.
    """

    hint = "{dialog.accept} goes there · {dialog.cancel} cancels"

    def __init__(self, facts: ReplayFacts, seek: Seek) -> None:
        first, last = local_time_of_day(facts.first_ns), local_time_of_day(facts.last_ns)
        super().__init__(
            "Go to",
            f"It was recorded from {first} to {last}.",
            (Entry("moment", "When", hint=local_time_of_day(facts.now_ns), about=EXAMPLES),),
            accept="Go",
        )
        self._facts = facts
        self._seek = seek

    def _moment(self, values: Mapping[str, str]) -> int:
        return parse_moment(values["moment"], self._facts.first_ns, self._facts.last_ns)

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is no moment."""
        try:
            self._moment(values)
        except UsageError as error:
            return {"moment": f"{error.message}: {error.fix}"}
        return {}

    def act(self, values: Mapping[str, str]) -> int:
        """Go there."""
        moment = self._moment(values)
        self._seek(moment)
        return moment
