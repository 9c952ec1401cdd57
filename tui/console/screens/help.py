"""Help made of what is declared: the bindings, the columns, the symbols."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import ClassVar, TypeAlias

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from engine.core.kinds import KINDS
from tui.console.keymap import Keymap
from tui.console.keys import HELP_KEYS, LIST_KEYS

_KEY_WIDTH = 18
_NAME_WIDTH = 16
_SHOWN_KINDS = (
    "plugin_state",
    "plugin_record",
    "plugin_fault",
    "process",
    "subscription",
    "probe_state",
    "kernel_event",
    "l7_message",
    "wasm_plugin",
    "wasm_result",
    "traffic_state",
    "log",
    "stats",
)
_SYMBOLS = (
    ("seen/kept/dropped lag", "a source in the honesty line; seen = kept + dropped"),
    ("✗F  !D  …S  !", "source failed, degraded, starting; ! after the numbers: something was lost"),
    ("● 12.3  ○  ×", "switch on with events per second, off, not available on this kernel"),
    ("◐ 12.3", "some of the switches of a line or family are on"),
    ("▸  ▾  2/40", "family of events closed, open; switches on, and those there are"),
    ("ring 1% ↑9%", "how full the kernel's ring is, and was at most in the last second"),
    ("● ◌ ◔ ○ ✗", "plugin running, loading, stopping (until it is killed), exited, failed"),
    ("↻ renewed 2", "Wasm plugin that trapped twice; a fresh instance took its place each time"),
    ("! poisoned 2, 9 left", "kept as an agent keeps it after 2 traps; 9 more and it fails"),
    (
        "✗",
        "before a record's type: it has faults; {row.detail} tells which, and what an agent reads",
    ),
    ("+  -", "row just appeared, row just went"),
    (">  <", "enter and exit of a system call"),
    ("··· 12 not shown ···", "records that came faster than the screen takes them, or unseen"),
    ("+12 new ({follow})", "records that came since the stream stands still"),
)

_MOUSE = (
    ("click, double click", "the row; everything about it, as {row.detail} does"),
    ("wheel", "scrolls; a stream scrolled back stands still"),
    ("on a heading", "sorts by it; again, the other way round"),
    ("on a title, a tab", "that pane or part alone; the tab of what is alone leads back"),
    ("on a switch, a key", "turns it; does what the key does"),
    ("on the way in the header", "leads back to that scope, or out of all"),
    ("on +12 new", "follows again"),
    ("drag", "selects text in lists, details and dumps; {quit.interrupt} copies it"),
    ("shift+drag", "selects as the terminal does, in most of them; {mouse} leaves the mouse to it"),
)


def keys_content(title: str, bindings: Iterable[Binding], keymap: Keymap) -> Content:
    """Bindings, one a line: the keys they have now, what they do."""
    lines = [Content.styled(title, "bold underline")]
    for binding in bindings:
        keys = keymap.readable(binding).ljust(_KEY_WIDTH - 1)
        told = binding.tooltip or binding.description
        lines.append(Content.assemble((f"{keys} ", "bold"), told))
    return Content("\n").join([*lines, Content("")])


def fields_content() -> Content:
    """The fields of every kind of record the panes show."""
    lines: list[Content] = []
    for name in _SHOWN_KINDS:
        kind = KINDS[name]
        lines.append(Content.assemble((kind.name, "bold underline"), f"  {kind.help}"))
        for field in kind.fields:
            unit = f" [{field.unit}]" if field.unit else ""
            lines.append(
                Content.assemble((f"  {field.name.ljust(_NAME_WIDTH)}", "bold"), field.help, unit)
            )
        lines.append(Content(""))
    return Content("\n").join(lines)


def symbols_content(keymap: Keymap) -> Content:
    """What the symbols mean."""
    lines = [Content.styled("Symbols", "bold underline")]
    lines += [
        Content.assemble((keymap.fill(text).ljust(24), "bold"), keymap.fill(meaning))
        for text, meaning in _SYMBOLS
    ]
    return Content("\n").join([*lines, Content("")])


def mouse_content(keymap: Keymap) -> Content:
    """What the mouse does."""
    lines = [Content.styled("Mouse", "bold underline")]
    lines += [
        Content.assemble((text.ljust(26), "bold"), keymap.fill(meaning)) for text, meaning in _MOUSE
    ]
    return Content("\n").join([*lines, Content("")])


Section: TypeAlias = tuple[str, Sequence[Binding]]
"""A heading and the bindings under it."""


def in_order_of_use(sections: Sequence[Section], here: Collection[str | None]) -> list[Section]:
    """The sections, those first that are about where one is.

    Args:
        sections: All, in their own order.
        here: Ids of the bindings that apply here and not everywhere.
    """

    def distance(section: Section) -> int:
        ids = {binding.id for binding in section[1]}
        if ids.isdisjoint(here):
            return 2
        return 1 if LIST_KEYS[0].id in ids else 0

    return sorted(sections, key=distance)


class HelpScreen(ModalScreen[None]):
    """Everything there is to know without leaving the console."""

    CSS_PATH = "help.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [*HELP_KEYS]

    def __init__(
        self, sections: Sequence[Section], keymap: Keymap, here: Collection[str | None] = ()
    ) -> None:
        super().__init__()
        self._sections = in_order_of_use(sections, here)
        self._keymap = keymap

    def compose(self) -> ComposeResult:
        """A frame that scrolls."""
        with VerticalScroll(id="help") as frame:
            frame.border_title = "boxscope help"
            frame.border_subtitle = self._keymap.fill("{help.close} closes")
            for title, bindings in self._sections:
                yield Static(keys_content(title, bindings, self._keymap))
            yield Static(mouse_content(self._keymap))
            yield Static(symbols_content(self._keymap))
            yield Static(fields_content())
