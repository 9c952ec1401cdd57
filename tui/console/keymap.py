"""Keys as the settings change them: checked when they are read, and told wherever keys are named.

A key belongs to what a binding's id names. Two ids may have the same key as long as they are
never offered together; `CONTEXTS` tells what is.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.keys import KEY_NAME_REPLACEMENTS, Keys, _character_to_key, key_to_character

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.core.settings import LoadedSettings, place_in_file
from tui.console.keys import (
    ANSWER_KEYS,
    ANSWER_ROW_KEYS,
    CALL_KEYS,
    CHART_KEYS,
    CHART_SCREEN_KEYS,
    CONFIRM_KEYS,
    DETAIL_KEYS,
    DIALOG_KEYS,
    DOCTOR_KEYS,
    FILTER_KEYS,
    FINDER_KEYS,
    GAP_KEYS,
    HELP_KEYS,
    HEX_KEYS,
    KEYS,
    LEAVE_KEYS,
    LIST_KEYS,
    MATRIX_KEYS,
    PALETTE_KEYS,
    PART_KEYS,
    PATH_KEYS,
    PLUGIN_KEYS,
    PORT_KEYS,
    PRESET_KEYS,
    PROCESS_KEYS,
    QUERY_KEYS,
    RECORD_KEYS,
    RECORDING_KEYS,
    REPLAY_KEYS,
    RUN_KEYS,
    SECTIONS,
    SQL_KEYS,
    STREAM_KEYS,
    SUBJECT_KEYS,
    THEME_KEYS,
    USEFUL_KEYS,
    VERDICT_KEYS,
    WASM_KEYS,
    WHY_KEYS,
    WORKSPACE_KEYS,
)

_ALWAYS = (*PALETTE_KEYS, *LEAVE_KEYS)
_PANES = (*KEYS, *RECORDING_KEYS, *REPLAY_KEYS, *SUBJECT_KEYS, *WORKSPACE_KEYS, *_ALWAYS)
_PARTS = (*PART_KEYS, *SUBJECT_KEYS, *_ALWAYS)
_ASKING = tuple(each for each in QUERY_KEYS if each.action in ("ask", "useful"))

CONTEXTS: Mapping[str, tuple[Binding, ...]] = {
    "the plugins": (*_PANES, *PLUGIN_KEYS, *LIST_KEYS),
    "the ports": (*_PANES, *PORT_KEYS, *LIST_KEYS),
    "the matrix": (*_PANES, *MATRIX_KEYS),
    "the events": (*_PANES, *LIST_KEYS),
    "the traffic": (*_PANES, *WASM_KEYS, *CALL_KEYS, *LIST_KEYS),
    "the screen of a plugin": (*_PARTS, *PLUGIN_KEYS, *STREAM_KEYS, *LIST_KEYS),
    "the screen of a process": (
        *_PARTS,
        *PROCESS_KEYS,
        *(each for each in PORT_KEYS if each.action in ("why", "attach")),
        *STREAM_KEYS,
        *LIST_KEYS,
    ),
    "the screen of a Wasm plugin": (*_PARTS, *WASM_KEYS, *RUN_KEYS, *STREAM_KEYS, *LIST_KEYS),
    "a chart": (*_PARTS, *CHART_SCREEN_KEYS, *CHART_KEYS),
    "the list of figures": (
        *_PARTS,
        *CHART_SCREEN_KEYS,
        *(each for each in LIST_KEYS if each.action != "filter"),
    ),
    "the doctor": (*_PARTS, *DOCTOR_KEYS, *LIST_KEYS),
    "what the engine tells about itself": (*_PARTS, *STREAM_KEYS, *LIST_KEYS),
    "the screen of a message or call": (*_PARTS, *CALL_KEYS, *RECORD_KEYS),
    "an answer": (*PART_KEYS, *_ALWAYS, *QUERY_KEYS, *ANSWER_KEYS, *LIST_KEYS),
    "a question in SQL": (
        *(each for each in PART_KEYS if each.id != "part.next"),  # tab completes
        *_ASKING,
        *SQL_KEYS,
        *_ALWAYS,
    ),
    "a row of an answer": (*ANSWER_ROW_KEYS, *_ALWAYS),
    "the useful questions": (*USEFUL_KEYS, *_ALWAYS),
    "the line to filter with": (*FILTER_KEYS, *_ALWAYS),
    "the line to find with": (*FINDER_KEYS, *_ALWAYS),
    "the presets": (*PRESET_KEYS, *_ALWAYS),
    "the themes": (*THEME_KEYS, *_ALWAYS),
    "the detail": (*_PARTS, *RECORD_KEYS, *DETAIL_KEYS),
    "what is left out": (*_PARTS, *GAP_KEYS),
    "the verdict": (*VERDICT_KEYS, *_ALWAYS),
    "the decision": (*WHY_KEYS, *_ALWAYS),
    "the help": (*HELP_KEYS, *_ALWAYS),
    "a dialog": (*DIALOG_KEYS, *PATH_KEYS, *_ALWAYS),
    "the bytes of a dialog": (*DIALOG_KEYS, *HEX_KEYS, *_ALWAYS),
    "a question": (*DIALOG_KEYS, *CONFIRM_KEYS, *_ALWAYS),
}
"""What is offered together, by where that is; the innermost comes last."""

_TYPED = (
    *FILTER_KEYS,
    *FINDER_KEYS,
    *DIALOG_KEYS,
    *PATH_KEYS,
    *HEX_KEYS,
    *SQL_KEYS,
    *_ASKING,
    *_ALWAYS,
)
"""Bindings that work while somebody types, so that no printable key can be theirs."""
_MODIFIERS = frozenset({"ctrl", "alt", "shift", "super", "hyper", "meta"})
_NAMED = frozenset(key.value for key in Keys if not key.value.startswith("<")) | frozenset(
    f"f{number}" for number in range(1, 25)
)
_WRITTEN = {
    name: unicodedata.lookup(long.replace("_", " ").replace("hyphen minus", "hyphen-minus"))
    for long, name in KEY_NAME_REPLACEMENTS.items()
}
"""Characters that Textual has names of its own for."""
_ID = re.compile(r"\{([a-z_.0-9]+)\}")
_SPELLED = {"pageup": "page-up", "pagedown": "page-down"}


def all_bindings() -> Iterator[tuple[str, Binding]]:
    """Every binding with the section of the help it is in."""
    for title, section in SECTIONS:
        for binding in section:
            yield title, binding


def readable_key(key: str) -> str:
    """A key as people write it: `?` for `question_mark`, `space` as it is."""
    character = _character_of(key)
    if character.isprintable() and not character.isspace():
        return character or _SPELLED.get(key, key)
    return _SPELLED.get(key, key)


def _character_of(key: str) -> str:
    """What a key writes; nothing for one that writes nothing."""
    return _WRITTEN.get(key) or key_to_character(key) or ""


@dataclass(frozen=True)
class Keymap:
    """Which keys somebody chose.

    Args:
        chosen: Keys as Textual names them, separated by commas, by the id of a binding.
    """

    chosen: Mapping[str, str] = field(default_factory=dict)

    def keys_of(self, binding: Binding) -> tuple[str, ...]:
        """The keys of a binding, those of its own or those chosen for it."""
        return tuple(self.chosen.get(binding.id or "", binding.key).split(","))

    def readable(self, binding: Binding) -> str:
        """The same for people, with blanks between."""
        return " ".join(map(readable_key, self.keys_of(binding)))

    def fill(self, text: str) -> str:
        """A text with the first key of `{ID}` in its place."""
        return _ID.sub(self._first_key, text)

    def _first_key(self, found: re.Match[str]) -> str:
        binding = _known().get(found[1])
        return readable_key(self.keys_of(binding)[0]) if binding is not None else found[0]


def with_keys(app: App[Any], text: str) -> str:
    """A text that names keys as `{ID}`, with those that work in an application."""
    keymap = getattr(app, "keymap", None)
    return (keymap if isinstance(keymap, Keymap) else Keymap()).fill(text)


@cache
def _known() -> Mapping[str, Binding]:
    return {binding.id: binding for _title, binding in all_bindings() if binding.id}


def read_keymap(loaded: LoadedSettings) -> Keymap:
    """Check the keys of the settings.

    Raises:
        UsageError: an id or a key does not exist, or a key would mean two things in one place;
            the message says where it stands.
    """
    known = _known()
    chosen: dict[str, str] = {}
    for name, text in loaded.values.keys.items():
        where = place_in_file(loaded.origins.get(f"keys.{name}", "?"), ("keys", name))
        if name not in known:
            raise UsageError(
                f"there is no key id {clean(name)!r} ({where})", fix=_nearest(name, known)
            )
        keys = [_key(each.strip(), name, where) for each in text.split(",")]
        if known[name] in _TYPED and (letter := next(filter(_is_typed, keys), None)):
            raise UsageError(
                f"key {readable_key(letter)} of {name} would be typed instead ({where})",
                fix="choose one that writes nothing, such as f2 or ctrl+g",
            )
        chosen[name] = ",".join(dict.fromkeys(keys))
    keymap = Keymap(chosen)
    _refuse_clashes(keymap, loaded)
    return keymap


def _key(text: str, name: str, where: str) -> str:
    """A key by Textual's name for it."""
    *modifiers, key = [text] if len(text) == 1 else text.split("+")
    if len(key) == 1 and not (modifiers and key.isalnum()):
        key = _character_to_key(key)
    # A terminal sends no shifted letter but the capital one.
    hint = key.upper() if modifiers == ["shift"] and len(key) == 1 and key.isalpha() else ""
    exists = key in _NAMED or _is_typed(key)
    if hint or not exists or not _MODIFIERS.issuperset(modifiers) or not key:
        raise UsageError(
            f"there is no key {clean(text)!r}, wanted for {name} ({where})",
            fix=f"write {hint}"
            if hint
            else "write a character, or a name such as space, comma, enter, f2, pageup, ctrl+g",
        )
    return "+".join([*modifiers, key])


def _is_typed(key: str) -> bool:
    character = _character_of(key)
    return bool(character) and character.isprintable()


def _nearest(name: str, known: Mapping[str, Binding]) -> str:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"nearest: {', '.join(near)}; " if near else ""
    return f"{hint}`boxscope config keys` lists them all"


def _refuse_clashes(keymap: Keymap, loaded: LoadedSettings) -> None:
    for place, bindings in CONTEXTS.items():
        owners: dict[str, list[Binding]] = {}
        for binding in bindings:
            for key in keymap.keys_of(binding):
                owners.setdefault(key, []).append(binding)
        for key, several in owners.items():
            changed = [each.id for each in several if each.id in keymap.chosen]
            if len(several) > 1 and changed:
                raise _clash(key, several, str(changed[0]), place, loaded)


def _clash(
    key: str, several: Sequence[Binding], changed: str, place: str, loaded: LoadedSettings
) -> UsageError:
    where = place_in_file(loaded.origins.get(f"keys.{changed}", "?"), ("keys", changed))
    names = " and ".join(str(each.id) for each in several)
    other = next((str(each.id) for each in several if each.id != changed), changed)
    return UsageError(
        f"key {readable_key(key)} would be both {names}, which are offered together"
        f" in {place} ({where})",
        fix=f"give {changed} another key, or {other} too",
    )
