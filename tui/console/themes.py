"""The colours of the console: two themes of its own, and those of Textual.

The dark one uses the palette of Okabe and Ito, whose colours stay apart for people who do not see
red, green or blue as others do. On a light ground text of these could not be read; the light one
has darker ones that stay apart in the same way.
"""

from __future__ import annotations

import difflib

from textual.theme import BUILTIN_THEMES, Theme

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.core.settings import LoadedSettings, place_in_file

DARK = Theme(
    name="boxscope-dark",
    primary="#0072B2",
    secondary="#CC79A7",
    accent="#56B4E9",
    success="#009E73",
    warning="#F0E442",
    error="#D55E00",
    foreground="#E4E4E4",
    background="#121212",
    surface="#1E1E1E",
    panel="#242F38",
)
LIGHT = Theme(
    name="boxscope-light",
    primary="#0072B2",
    secondary="#8C3F6B",
    accent="#00588A",
    success="#00919E",
    warning="#94861A",
    error="#8F0030",
    foreground="#1A1A1A",
    background="#FAFAFA",
    surface="#F0F0F0",
    panel="#DDE4EA",
    dark=False,
    variables={"footer-key-foreground": "#00588A"},
)

OWN = (DARK, LIGHT)
"""Those that are not Textual's."""
THEMES: dict[str, Theme] = {theme.name: theme for theme in OWN} | {
    name: theme for name, theme in BUILTIN_THEMES.items() if name != "textual-ansi"
}
"""All by name, ours first."""


def about(theme: Theme) -> str:
    """What there is to know about a theme before one sees it."""
    ground = "dark" if theme.dark else "light"
    if theme in OWN:
        return f"{ground}, colour-blind-safe"
    return f"{ground}, the terminal's own colours" if theme.ansi else ground


def check_theme(loaded: LoadedSettings) -> str:
    """The theme of the settings.

    Raises:
        UsageError: there is none of that name; the message says where it stands.
    """
    name = loaded.values.theme
    if name in THEMES:
        return name
    near = difflib.get_close_matches(name, THEMES, n=2, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise UsageError(
        f"there is no theme {clean(name)!r}"
        f" ({place_in_file(loaded.origins.get('theme', '?'), ('theme',))})",
        fix=f"{hint}there are {', '.join(THEMES)}",
    )
