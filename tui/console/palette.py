"""The palette: everything that can be done now, by name.

What is typed are words, each of which has to be somewhere in a name. Textual's own matcher tries
every way in which the letters may lie apart, which takes seconds for names as long and as alike
as those of system calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from heapq import nsmallest
from typing import Any, NamedTuple

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.screen import Screen

from engine.core.errors import BoxscopeError
from engine.core.sanitise import clean
from tui.console.personal import PersonalActions
from tui.console.presets import preset_choices
from tui.console.switch_actions import SwitchActions
from tui.console.themes import THEMES, about
from tui.console.widgets.cells import CellKey
from tui.console.widgets.switches import Switches

MOST_HITS = 60
"""Commands listed at once; whoever wants others types another word."""
_SYSTEM_COMMANDS = ("Screenshot",)
_MOVES = ("cursor(", "page(", "first", "last", "sideways(", "move(", "edge(", "scroll_")
"""Actions that only move in what is shown; they are found, but not listed before that."""
_PANES = ("Plugins", "Ports", "Events", "Traffic")

Switch = Callable[[Sequence[CellKey], bool], None]


class Command(NamedTuple):
    """Something that can be done."""

    title: str
    help: str
    run: Callable[[], object]
    at_once: bool = False
    """Whether it is listed before anything is typed."""


class Match(NamedTuple):
    """How well a command fits; the best comes first."""

    rank: tuple[int, int, int]
    """Words that begin no word of it, where the first one is, its length."""
    command: Command
    spans: tuple[tuple[int, int], ...]
    """Where the words are in its title."""


def matches(commands: Iterable[Command], query: str) -> list[Match]:
    """The commands whose titles have all the words of a text, those that fit best first."""
    words = query.lower().split()
    found = (match for command in commands if (match := _match(command, words)))
    return nsmallest(MOST_HITS, found, key=lambda match: match.rank)


def _match(command: Command, words: Sequence[str]) -> Match | None:
    title = command.title.lower()
    spans = []
    within = 0
    for word in words:
        start = title.find(word)
        if start < 0:
            return None
        while start > 0 and title[start - 1].isalnum():
            later = title.find(word, start + 1)
            if later < 0:
                start = title.find(word)
                within += 1
                break
            start = later
        spans.append((start, start + len(word)))
    first = spans[0][0] if spans else 0
    return Match((within, first, len(title)), command, tuple(spans))


class PaletteActions(PersonalActions, SwitchActions):
    """The part of the application that offers commands by name."""

    COMMANDS = {lambda: ConsoleCommands}  # noqa: RUF012

    def commands_of(self, screen: Screen[object]) -> Iterator[Command]:
        """Everything that can be done on a screen."""
        for title, told, run, at_once in self.get_system_commands(screen):
            yield Command(title, told, run, at_once=at_once)
        for number, name in enumerate(_PANES, 1):
            if screen is self.main:
                yield Command(f"Go to {name}", f"Pane {number}", partial(self.main.go, number))
        for theme in THEMES.values():
            yield Command(f"Theme {theme.name}", about(theme), partial(self.keep_theme, theme.name))
        if self.is_live:
            switches = self.main.events.matrix.switches
            yield from preset_commands(switches, self.switch)
            yield from subscription_commands(switches, self.switch)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything the keys do, and Textual's own screenshot."""
        for command in super().get_system_commands(screen):
            if command.title in _SYSTEM_COMMANDS:
                yield command
        seen: set[str] = set()
        for node, binding, enabled, tooltip in screen.active_bindings.values():
            if binding.id and enabled and binding.action not in seen:
                seen.add(binding.action)
                told = f"{tooltip}  ({self.keymap.readable(binding)})"
                run = partial(self.run_action, binding.action, node)
                moves = binding.action.startswith(_MOVES)
                yield SystemCommand(binding.description, told, run, discover=not moves)


def preset_commands(switches: Switches, switch: Switch) -> Iterator[Command]:
    """Turning each preset on, as far as it is not, and off, as far as it is on."""
    for choice in preset_choices(switches):
        counts = f"{choice.help}; {choice.on} of {choice.switches} are on"
        keys = [(choice.name, "")]
        if choice.on < choice.switches:
            yield Command(f"Preset {choice.name} on", counts, partial(switch, keys, True))
        if choice.on:
            yield Command(f"Preset {choice.name} off", counts, partial(switch, keys, False))


def subscription_commands(switches: Switches, switch: Switch) -> Iterator[Command]:
    """Turning each switch of the matrix the other way."""
    for key, cell in switches.cells.items():
        event, category = key
        on = switches.is_on(key)
        told = f"not here: {clean(cell.unavailable)}" if cell.unavailable else "A kernel event"
        yield Command(
            f"{'unsubscribe' if on else 'subscribe'} {clean(event)} ({clean(category)})",
            f"It is on, with {cell.rate:.0f} events a second" if on else told,
            partial(switch, [key], not on),
        )


class ConsoleCommands(Provider):
    """What the palette offers and finds."""

    _commands: tuple[Command, ...] = ()

    async def startup(self) -> None:
        """Learn what can be done now."""
        app = self.app
        assert isinstance(app, PaletteActions)
        try:
            self._commands = tuple(app.commands_of(self.screen))
        except BoxscopeError as error:
            app.notify(clean(str(error)), severity="error", markup=False)

    async def discover(self) -> Hits:
        """What is listed before anything is typed."""
        for command in self._commands:
            if command.at_once:
                yield DiscoveryHit(
                    Content(command.title), command.run, text=command.title, help=command.help
                )

    async def search(self, query: str) -> Hits:
        """What has the words that are typed."""
        found = matches(self._commands, query)
        for position, match in enumerate(found):
            title = Content(match.command.title)
            for start, end in match.spans:
                title = title.stylize(self.match_style or "reverse", start, end)
            yield Hit(
                1 - position / (len(found) + 1),
                title,
                match.command.run,
                text=match.command.title,
                help=match.command.help,
            )
