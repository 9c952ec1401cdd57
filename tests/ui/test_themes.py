"""Own themes can be read, and told apart by people who do not see all colours."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from textual.color import Color, Lab, rgb_to_lab
from textual.theme import Theme

from engine.core.errors import UsageError
from engine.core.settings import LoadedSettings, Settings
from tui.console.themes import OWN, THEMES, about, check_theme

GROUNDS = ("background", "surface", "panel", "boost")
TEXTS = ("foreground", "text-success", "text-warning", "text-error", "text-accent", "text-muted")
STATES = ("text-success", "text-warning", "text-error")

# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
BLINDNESS = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
    "none": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
}
TOLD_APART = 20.0
"""Distance in CIE Lab; 2.3 is just to be seen side by side."""


def colour(theme: Theme, name: str, on: str = "background") -> Color:
    """A colour of a theme as it is on the screen, over a ground."""
    variables = theme.to_color_system().generate()
    ground = Color.parse(variables["background"])
    if on != "background":
        ground = over(Color.parse(variables[on]), ground)
    text = variables[name]
    if text.startswith("auto"):
        return over(ground.get_contrast_text(float(text.split()[1].rstrip("%")) / 100), ground)
    return over(Color.parse(text), ground)


def over(colour: Color, ground: Color) -> Color:
    return ground.blend(colour, colour.a, alpha=1.0) if colour.a < 1 else colour


def contrast(one: Color, other: Color) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def linear(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def luminance(colour: Color) -> float:
    red, green, blue = map(linear, colour.rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def seen(colour: Color, blindness: str) -> Lab:
    """What somebody sees of a colour."""
    parts = [linear(value) for value in colour.rgb]
    mixed = [
        min(1.0, max(0.0, sum(a * b for a, b in zip(row, parts, strict=True))))
        for row in BLINDNESS[blindness]
    ]
    encoded = [12.92 * v if v <= 0.0031308 else 1.055 * v ** (1 / 2.4) - 0.055 for v in mixed]
    red, green, blue = (round(value * 255) for value in encoded)
    return rgb_to_lab(Color(red, green, blue))


def distance(one: Lab, other: Lab) -> float:
    return math.dist(one, other)


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("ground", GROUNDS)
def test_text_stands_out_from_its_ground(theme: Theme, name: str, ground: str) -> None:
    text = colour(theme, name, ground)
    shown = colour(theme, ground)
    assert contrast(text, shown) >= 4.5, (text.hex, shown.hex)


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
def test_the_row_under_the_cursor_can_be_read(theme: Theme) -> None:
    primary = colour(theme, "primary")
    assert contrast(primary.get_contrast_text(0.95), primary) >= 4.5


@pytest.mark.parametrize("theme", OWN, ids=lambda theme: theme.name)
@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize(("one", "other"), combinations(STATES, 2))
def test_good_doubtful_and_bad_are_told_apart(
    theme: Theme, blindness: str, one: str, other: str
) -> None:
    apart = distance(seen(colour(theme, one), blindness), seen(colour(theme, other), blindness))
    assert apart >= TOLD_APART


def test_there_are_themes_for_every_ground_and_for_poor_terminals() -> None:
    assert next(iter(THEMES)) == Settings().theme == "boxscope-dark"
    assert {"boxscope-light", "ansi-dark", "ansi-light", "textual-dark"} <= THEMES.keys()
    assert about(THEMES["boxscope-light"]) == "light, colour-blind-safe"
    assert about(THEMES["ansi-dark"]) == "dark, the terminal's own colours"


def test_an_unknown_theme_is_refused_with_those_there_are() -> None:
    assert check_theme(LoadedSettings(Settings(theme="nord"), {})) == "nord"
    with pytest.raises(UsageError, match="no theme 'boxscop-dark'") as refused:
        check_theme(LoadedSettings(Settings(theme="boxscop-dark"), {"theme": "environment"}))
    assert "nearest: boxscope-dark" in refused.value.fix
    assert all(name in refused.value.fix for name in THEMES)
