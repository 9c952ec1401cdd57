"""What the subscription matrix shows: switches by event and category, in families, searched.

Nothing here draws; `widgets/matrix.py` does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from engine.core.records import Record
from tui.console.widgets.cells import (
    EVERYTHING,
    Cell,
    CellKey,
    Line,
    Sum,
    category_rank,
    family_of,
    family_rank,
)

View = Literal["all", "on", "active"]
VIEWS: tuple[View, ...] = ("all", "on", "active")

EXPANDED_UP_TO = 40
"""Events up to which every family is open from the beginning."""
ACTIVE_LOOKS = 10
"""Pictures, one a second, for which an event counts as active after its last rate."""


class Turn(NamedTuple):
    """What becomes of switches that somebody turns."""

    keys: tuple[CellKey, ...]
    """Those that are turned."""
    wanted: bool
    refused: bool
    """It would be everything at once."""


class Switches:
    """The switches, which of them are looked at, and in which lines."""

    def __init__(self) -> None:
        self.cells: dict[CellKey, Cell] = {}
        self.lines: tuple[Line, ...] = ()
        """What is in view, top to bottom."""
        self.categories: tuple[str, ...] = ()
        """The columns in view."""
        self.view: View = "all"
        self.search = ""
        self.put_off: tuple[CellKey, ...] = ()
        """What was on when everything was turned off at once; the same key brings it back."""
        self._records: Sequence[Record] = ()
        self._cell_of: dict[int, Cell] = {}
        self._categories_of: dict[str, tuple[str, ...]] = {}
        self._family: dict[str, str] = {}
        self._open: set[str] | None = None
        self._matching: dict[str, tuple[str, ...]] = {}
        self._wanted: dict[CellKey, bool] = {}
        self._unanswered: Counter[CellKey] = Counter()
        self._looks = 0
        self._last_active: dict[str, int] = {}
        self._touched: set[str] = set()
        self._sums: dict[tuple[Line, str], Sum] = {}

    # The engine's picture.

    def take(self, records: Sequence[Record]) -> bool:
        """Take over the engine's rows; whether anything has changed."""
        self._looks += 1
        if records is self._records and self.view != "active":
            return False
        known = self._cell_of
        self._cell_of = {id(record): known.get(id(record)) or Cell.of(record) for record in records}
        # The old rows are let go only now: until then no new row can have the id of one of them.
        self._records = records
        return self._replace(self._cell_of.values())

    def _replace(self, cells: Iterable[Cell]) -> bool:
        by_key = {cell.key: cell for cell in cells}
        same = by_key == self.cells
        if by_key.keys() != self.cells.keys():
            self.cells = by_key
            self._regroup()
        self.cells = by_key
        for cell in by_key.values():
            if cell.on and cell.rate:
                self._last_active[cell.event] = self._looks
        if not same:
            self._sums.clear()
        if self.view == "all":
            return not same
        before = self.lines
        self.arrange()
        return not same or self.lines != before

    def _regroup(self) -> None:
        categories: dict[str, list[str]] = {}
        for event, category in self.cells:
            categories.setdefault(event, []).append(category)
        self._categories_of = {event: tuple(found) for event, found in categories.items()}
        self._family = {
            event: family_of(event, found) for event, found in self._categories_of.items()
        }
        if self._open is None and categories:
            few = len(categories) <= EXPANDED_UP_TO
            self._open = set(self._family.values()) if few else set()
        self.arrange()

    # Turning.

    def is_on(self, key: CellKey) -> bool:
        """The state of a switch, counting one that was just turned as done."""
        return self._wanted.get(key, self.cells[key].on)

    def turn(self, keys: Iterable[CellKey], wanted: bool) -> None:
        """Show switches as turned until the engine has answered."""
        for key in keys:
            self._unanswered[key] += 1
            self._touched.add(key[0])
            if not self.cells[key].unavailable:
                self._wanted[key] = wanted
        self._sums.clear()

    def toggle(self, line: Line, category: str = "") -> Turn:
        """Turn the switches of a line: off if one that can be turned is on, else on.

        Not everything is turned on at once: only what was on when everything was turned off.
        """
        keys = self.keys_of(line, category)
        usable = [key for key in keys if not self.cells[key].unavailable] or keys
        on = [key for key in usable if self.is_on(key)]
        turned, wanted = (on, False) if on else (usable, True)
        if keys and self.is_whole(line, category):
            turned = on or [key for key in self.put_off if key in usable]
            self.put_off = tuple(on)
        if turned:
            self.turn(turned, wanted)
        return Turn(tuple(turned), wanted, refused=bool(keys) and not turned)

    def settle(self, keys: Iterable[CellKey]) -> None:
        """The engine has answered; after the last answer its own picture counts again."""
        for key in keys:
            self._unanswered[key] -= 1
            if self._unanswered[key] <= 0:
                del self._unanswered[key]
                self._wanted.pop(key, None)
        self._sums.clear()

    def is_whole(self, line: Line, category: str) -> bool:
        """Whether these are all switches there are, which are not turned on at once."""
        return line == EVERYTHING and not category and not self.search

    # What a line stands for.

    def events_of(self, line: Line) -> tuple[str, ...]:
        """The events of a line that are not hidden by the search or the view."""
        if line.kind == "event":
            return (line.name,)
        if line.kind == "family":
            return self._matching.get(line.name, ())
        return tuple(event for events in self._matching.values() for event in events)

    def keys_of(self, line: Line, category: str = "") -> list[CellKey]:
        """The switches of a line in one column, or in all that are in view."""
        columns = (category,) if category else self.categories
        return [
            (event, column)
            for event in self.events_of(line)
            for column in columns
            if (event, column) in self.cells
        ]

    def sum_of(self, line: Line, category: str = "") -> Sum | None:
        """What the switches of a line say together; None where there is none."""
        known = self._sums.get((line, category))
        if known is None:
            known = self._sum(self.keys_of(line, category))
            self._sums[line, category] = known
        return known if known.switches or known.reason else None

    def _sum(self, keys: Sequence[CellKey]) -> Sum:
        cells = [self.cells[key] for key in keys]
        usable = [cell for cell in cells if not cell.unavailable]
        on = [cell for cell in usable if self.is_on(cell.key)]
        reason = cells[0].unavailable if cells and not usable else ""
        return Sum(
            len(usable),
            len(on),
            sum(cell.rate for cell in on),
            sum(cell.total for cell in cells),
            reason,
        )

    def family_line(self, line: Line) -> Line:
        """The line of the family an event belongs to; of none, if a replay has gone back so far."""
        return Line("family", self._family.get(line.name, "")) if line.kind == "event" else line

    # What is in view.

    def is_open(self, family: str) -> bool:
        """Whether a family's events are in view; what is searched for always is."""
        if self.search or self.view != "all":
            return True
        return self._open is not None and family in self._open

    def set_open(self, family: str, opened: bool) -> None:
        """Open or close a family."""
        opened_now = self._open if self._open is not None else set()
        self._open = opened_now | {family} if opened else opened_now - {family}
        self.arrange()

    def open_all(self) -> None:
        """Open every family, or close them all if they are open."""
        families = set(self._matching)
        self._open = set() if self._open is not None and families <= self._open else families
        self.arrange()

    def set_view(self, view: View) -> None:
        """Choose between all events, those that are on, and those that deliver."""
        self.view = view
        self._touched.clear()
        self.arrange()

    def find(self, text: str) -> None:
        """Show only what fits: words of names, patterns of names, `:category`."""
        self.search = text.strip()
        self.arrange()

    def arrange(self) -> None:
        """Choose lines and columns anew."""
        words = self.search.lower().split()
        names = [word for word in words if not word.startswith(":")]
        columns = [word[1:] for word in words if word.startswith(":")]
        matching: dict[str, list[str]] = {}
        used: set[str] = set()
        for event, categories in self._categories_of.items():
            shown = [each for each in categories if _fits(each, columns)]
            if shown and self._in_view(event) and all(_named(event, word) for word in names):
                matching.setdefault(self._family[event], []).append(event)
                used.update(shown)
        self._matching = {
            family: tuple(matching[family]) for family in sorted(matching, key=family_rank)
        }
        self.categories = tuple(sorted(used, key=category_rank))
        self.lines = tuple(self._lines())
        self._sums.clear()

    def _lines(self) -> Iterator[Line]:
        if self.cells:
            yield EVERYTHING
        for family, events in self._matching.items():
            yield Line("family", family)
            if self.is_open(family):
                for event in events:
                    yield Line("event", event)

    def _in_view(self, event: str) -> bool:
        if self.view == "all" or event in self._touched:
            return True
        if self.view == "on":
            return any(self.is_on((event, each)) for each in self._categories_of[event])
        return self._looks - self._last_active.get(event, -ACTIVE_LOOKS) < ACTIVE_LOOKS


def _fits(category: str, wanted: Sequence[str]) -> bool:
    return not wanted or any(category.startswith(each) for each in wanted)


def _named(event: str, word: str) -> bool:
    """Whether a word is in a name, or a pattern fits it."""
    if any(mark in word for mark in "*?["):
        return fnmatchcase(event.lower(), word)
    return word in event.lower()
