"""A screen some parts of which are streams."""

from __future__ import annotations

from collections.abc import Sequence

from tui.console.reader import RecordReader
from tui.console.screens.parts import Part, PartsScreen
from tui.console.widgets.stream import StreamView


class StreamingScreen(PartsScreen):
    """Holds its streams still, and follows them, all together.

    Args:
        parts: What is shown.
        streams: The streams in them.
    """

    def __init__(self, parts: Sequence[Part], streams: Sequence[StreamView]) -> None:
        super().__init__(parts)
        self.streams = tuple(streams)

    def pull(self, reader: RecordReader) -> None:
        """Let the streams in view take in what is new."""
        for stream in self.streams:
            if stream.size and stream.region:
                stream.pull(reader)

    def action_follow(self) -> None:
        """Go to the newest of every stream."""
        for stream in self.streams:
            stream.follow()
        self.refresh_bindings()

    def action_pause(self) -> None:
        """Hold the streams still, or let them go on if all are held."""
        paused = not all(stream.paused for stream in self.streams)
        for stream in self.streams:
            stream.set_paused(paused)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to follow where everything moves."""
        if action == "follow":
            return not all(stream.moving for stream in self.streams)
        return super().check_action(action, parameters)
