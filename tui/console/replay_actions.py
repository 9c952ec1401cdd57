"""The keys that go about in a replay."""

from __future__ import annotations

from tui.console.looking import LookingApp


class ReplayActions(LookingApp):
    """The part of the application that is about a replay; without one it does nothing."""

    def action_speed(self, step: int) -> None:
        """Replay faster or more slowly."""
        if self.replay is not None:
            self.replay.change_speed(step)

    def action_step(self) -> None:
        """Go to the next record of a replay."""
        if self.replay is not None:
            self.carry_out(self.replay.step(), "replay")

    def action_seek(self) -> None:
        """Go to a moment of a replay."""
        if self.replay is not None:
            self.carry_out(self.replay.seek(), "replay", opens=True)

    def action_next_problem(self) -> None:
        """Go to the next loss or error of a replay."""
        if self.replay is not None:
            self.carry_out(self.replay.next_problem(), "replay")
