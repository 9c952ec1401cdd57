"""The language subscriptions are written in.

`NAME` or `NAME:CATEGORY`, both with the wildcards `*`, `?` and `[...]`: `syscall_exit-*`,
`*:net`, `syscall_*-read*:file`. `@PRESET` stands for a list of these. Names are matched as a
whole and never guessed: what matches nothing is an error that tells what is near.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.probe.calls import Category
from engine.probe.catalogue import CELLS, Cell, nearest, resolve
from engine.probe.presets import PRESETS, Preset

PRESET_MARK = "@"
CATEGORIES = tuple(category.label for category in Category)

_WILDCARD = re.compile(r"[*?\[\]]")
_PRESET_BY_NAME = {preset.name: preset for preset in PRESETS}


def parse(text: str, *, faithful: bool = False) -> tuple[str, str]:
    """Name and category of `NAME[:CATEGORY]` or `@PRESET`; an empty category means all.

    Args:
        text: As somebody wrote it.
        faithful: Take categories as Kindling does; see `cells_of`.

    Raises:
        UsageError: if it means nothing.
    """
    name, colon, category = text.partition(":")
    cells_of(name, category, faithful=faithful)
    if colon and not category:
        raise UsageError(f"{clean(text)!r} has no category after the colon", fix=f"write {name}")
    return name, category


def cells_of(name: str, category: str = "", *, faithful: bool = False) -> tuple[Cell, ...]:
    """The cells a subscription means, in the order of the catalogue.

    Args:
        name: A subscription name, a pattern of names, or a preset.
        category: A category, a pattern of categories, or empty for all.
        faithful: Let a category also mean the events that Kindling gives it where boxscope
            knows better, such as `other` for calls that wait.

    Raises:
        UsageError: unknown name, category or preset, or nothing that fits both.
    """
    if name.startswith(PRESET_MARK):
        return _cells_of_preset(name, category, faithful=faithful)
    _check_category(category)
    if _WILDCARD.search(name):
        of_name = tuple(cell for cell in CELLS if fnmatchcase(cell.event.name, name))
        if not of_name:
            raise UsageError(
                f"no event matches {clean(name)!r}",
                fix=f"nearest: {', '.join(nearest(_WILDCARD.sub('', name)))}",
            )
    else:
        of_name = resolve(name)
        if not faithful and category and not _WILDCARD.search(category):
            return resolve(name, category)
    fitting = tuple(cell for cell in of_name if _fits(cell, category, faithful=faithful))
    if not fitting:
        valid = dict.fromkeys(cell.category.label for cell in of_name)
        raise UsageError(
            f"{clean(name)} has no category {clean(category)!r}", fix=f"valid: {', '.join(valid)}"
        )
    return fitting


def cells_of_all(
    subscriptions: Iterable[tuple[str, str]], *, faithful: bool = False
) -> tuple[Cell, ...]:
    """The cells several subscriptions mean together, each once.

    Raises:
        UsageError: one of them means nothing.
    """
    return tuple(
        dict.fromkeys(
            cell
            for name, category in subscriptions
            for cell in cells_of(name, category, faithful=faithful)
        )
    )


def preset_named(name: str) -> Preset:
    """The preset of that name, written with or without its mark.

    Raises:
        UsageError: if there is none.
    """
    plain = name.removeprefix(PRESET_MARK)
    preset = _PRESET_BY_NAME.get(plain)
    if preset is None:
        near = difflib.get_close_matches(plain, _PRESET_BY_NAME, n=2, cutoff=0.5)
        listed = ", ".join(PRESET_MARK + each for each in _PRESET_BY_NAME)
        hint = f"nearest: {', '.join(PRESET_MARK + each for each in near)}; " if near else ""
        raise UsageError(f"unknown preset {clean(name)!r}", fix=f"{hint}there are {listed}")
    return preset


def kindling_category(cell: Cell) -> Category:
    """The category Kindling gives the events of a cell."""
    return cell.event.accepts[0] if cell.event.accepts else cell.category


def _cells_of_preset(name: str, category: str, *, faithful: bool) -> tuple[Cell, ...]:
    preset = preset_named(name)
    if category:
        raise UsageError(f"{clean(name)} is a preset and takes no category", fix=f"write {name}")
    return cells_of_all(preset.subscriptions, faithful=faithful)


def _check_category(category: str) -> None:
    """Refuse a category that no event ever has.

    Raises:
        UsageError: with the nearest, and all there are.
    """
    if not category or any(fnmatchcase(known, category) for known in CATEGORIES):
        return
    near = difflib.get_close_matches(category, CATEGORIES, n=2, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    raise UsageError(
        f"unknown category {clean(category)!r}", fix=f"{hint}there are {', '.join(CATEGORIES)}"
    )


def _fits(cell: Cell, category: str, *, faithful: bool) -> bool:
    if not category or fnmatchcase(cell.category.label, category):
        return True
    return faithful and fnmatchcase(kindling_category(cell).label, category)
