"""The cursor of the subscription matrix: which switch it is on, and where it goes from there.

Nothing here draws; `widgets/matrix.py` does.
"""

from __future__ import annotations

from tui.console.widgets.cells import EVERYTHING, CellKey, Line
from tui.console.widgets.switches import Switches

NAME = ""
"""The column of the names: a switch there is all of its line."""


class MatrixCursor:
    """Stands on a line and in a column, as far as there are lines.

    Args:
        switches: The lines and columns.
    """

    def __init__(self, switches: Switches) -> None:
        self._switches = switches
        self.line: Line | None = None
        """The line it is on."""
        self.column = NAME
        """The category it is in; empty on the name."""

    @property
    def key(self) -> CellKey | None:
        """The cell under it; None on a name or a family."""
        line = self.line
        return (line.name, self.column) if line and line.kind == "event" and self.column else None

    @property
    def position(self) -> int | None:
        """Which of the lines it is on; None if that is not in view any more."""
        try:
            return None if self.line is None else self._switches.lines.index(self.line)
        except ValueError:
            return None

    def stay(self) -> None:
        """Be on a switch that there is, now that lines and columns may be others."""
        if self.position is None:
            self._go_to_nearest()
        line = self.line
        if line and self.column and self._switches.sum_of(line, self.column) is None:
            self.column = self._column_near(line)

    def _go_to_nearest(self) -> None:
        """Go where there is something: to the line's family, else to the first event.

        Where there is no event in view it goes to a name, so that a key pressed by chance does
        not switch a family on.
        """
        lines = self._switches.lines
        if self.line is not None and self.line.kind == "event" and self.line.name:
            family = self._switches.family_line(self.line)
            if family in lines and not self._switches.search:
                self.line = family
                return
        for line in lines:
            if line.kind == "event":
                self.column = self.column or self._column_near(line)
                self.line = line
                return
        self.column = NAME
        self.line = EVERYTHING if lines else None

    def leave_unless_on_event(self) -> None:
        """Have the next look find another line, unless an event is looked at."""
        if self.line and self.line.kind != "event":
            self.line = None

    # Moving.

    def go(self, line: Line, column: str) -> None:
        """Go to a switch."""
        self.line, self.column = line, column

    def go_to(self, position: int) -> bool:
        """Go to a line, to the switch nearest to the column; whether there is any."""
        lines = self._switches.lines
        if not lines:
            return False
        line = lines[min(max(position, 0), len(lines) - 1)]
        self.go(line, self._column_near(line) if self.column else NAME)
        return True

    def family_to_turn(self, step: int) -> Line | None:
        """The family that a step to the right opens, or one to the left closes."""
        line = self.line
        if line is None or line.kind != "family" or self.column:
            return None
        return line if self._switches.is_open(line.name) == (step < 0) else None

    def go_across(self, step: int) -> bool:
        """Go to the next switch of the line, or from an event to its family; if there is one."""
        line = self.line
        if line is None:
            return False
        columns = (NAME, *self._switches.categories)
        position = columns.index(self.column) + step if self.column in columns else 0
        if position < 0 and line.kind == "event":
            self.go(self._switches.family_line(line), NAME)
            return True
        while 0 <= position < len(columns):
            if not columns[position] or self._switches.sum_of(line, columns[position]):
                self.go(line, columns[position])
                return True
            position += step
        return False

    def _column_near(self, line: Line) -> str:
        """The column of a line with a switch that is nearest to the cursor's."""
        columns = self._switches.categories
        here = columns.index(self.column) if self.column in columns else 0
        with_switch = [
            (abs(position - here), column)
            for position, column in enumerate(columns)
            if self._switches.sum_of(line, column)
        ]
        return min(with_switch)[1] if with_switch else NAME
