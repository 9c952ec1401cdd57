"""The keys that apply now, on one line.

Textual's own footer is a widget for each key, made anew whenever the focus moves; that took
longer than everything else between a key and the screen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from itertools import groupby
from typing import NamedTuple, Protocol, runtime_checkable

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

_GAP = 2
_HELP = "help"
"""Id of the key that tells all others."""


class Entry(NamedTuple):
    """A key with what it does; the keys of a group have one name together, behind the last."""

    key: str
    name: str
    gap: int
    binding: ActiveBinding

    @property
    def width(self) -> int:
        """Cells up to the next entry."""
        return cell_len(self.key) + (1 + cell_len(self.name) if self.name else 0) + self.gap


def in_order(bindings: Iterable[ActiveBinding]) -> list[ActiveBinding]:
    """Bindings as they are declared; a keymap puts those it changes behind all others."""
    by_node: dict[DOMNode, list[ActiveBinding]] = {}
    for active in bindings:
        by_node.setdefault(active.node, []).append(active)
    return [
        active
        for node, several in by_node.items()
        for active in sorted(several, key=partial(_position, _declared(type(node))))
    ]


def _position(declared: Mapping[str | None, int], active: ActiveBinding) -> int:
    return declared.get(active.binding.id, len(declared))


@cache
def _declared(node: type[DOMNode]) -> Mapping[str | None, int]:
    """Where each binding of a class stands, by its id."""
    bindings = (
        binding for base in reversed(node.__mro__) for binding in base.__dict__.get("BINDINGS", ())
    )
    return {
        binding.id: position
        for position, binding in enumerate(bindings)
        if isinstance(binding, Binding)
    }


@runtime_checkable
class Offering(Protocol):
    """What has keys that it need not offer: pressed all the same, they tell what is missing."""

    def offers(self, action: str) -> bool:
        """Whether an action can be carried out now."""


def _is_offered(active: ActiveBinding) -> bool:
    return not isinstance(active.node, Offering) or active.node.offers(active.binding.action)


def fitting(entries: Sequence[Entry], width: int) -> list[Entry]:
    """The first entries that fit a width; the one of the help has its room in any case.

    Of a group whose name does not fit none is shown.
    """
    shown: list[Entry] = []
    helping = next((each for each in entries if each.binding.binding.id == _HELP), None)
    room = width
    for entry in entries:
        if entry is helping:
            helping = None
        kept = helping.width if helping is not None and helping.width <= width else 0
        if entry.width - (0 if kept else entry.gap) > room - kept:
            break
        room -= entry.width
        shown.append(entry)
    while shown and not shown[-1].name:
        room += shown.pop().width
    if helping is not None and helping.width - helping.gap <= room:
        shown.append(helping)
    return shown


class KeyLine(Widget):
    """One line of keys, each of which can be clicked."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__()
        self._drawn: list[Entry] = []

    def on_mount(self) -> None:
        """Learn when other keys apply."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def look_again(self) -> None:
        """Draw other keys where what is offered has changed with what there is."""
        if self.is_mounted and self.is_attached and self.entries() != self._drawn:
            self.refresh()

    def _changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self.refresh()

    def entries(self) -> list[Entry]:
        """The entries that fit, with that of the help, which tells the others."""
        return fitting(list(self._all_entries()), self.size.width)

    def _all_entries(self) -> Iterator[Entry]:
        by_action: dict[str, ActiveBinding] = {}
        for active in in_order(self.screen.active_bindings.values()):
            shown = active.binding.show or active.binding.action == "command_palette"
            if shown and active.enabled and _is_offered(active):
                by_action.setdefault(active.binding.action, active)
        for group, members in groupby(by_action.values(), lambda active: active.binding.group):
            several = list(members)
            together = group is not None and len(several) > 1
            for position, active in enumerate(several, 1):
                key = self.app.get_key_display(active.binding)
                if together and group is not None and position < len(several):
                    yield Entry(key, "", 0, active)
                else:
                    name = group.description if together and group else active.binding.description
                    yield Entry(key, name, _GAP, active)

    def render(self) -> Content:
        """The keys and what they do."""
        self._drawn = self.entries()
        return Content("").join(
            Content.assemble(
                (entry.key, "bold $footer-key-foreground"),
                f" {entry.name}" if entry.name else "",
                " " * entry.gap,
            )
            for entry in self._drawn
        )

    async def on_click(self, event: events.Click) -> None:
        """Do what the key under the mouse does."""
        right = 0
        for entry in self.entries():
            right += entry.width
            if event.x < right:
                if event.x < right - entry.gap:
                    active = entry.binding
                    await self.app.run_action(active.binding.action, active.node)
                return
