"""Keys of the settings: every one that could not work is refused with its line."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from textual.binding import Binding
from textual.dom import DOMNode

import tui.console
from engine.core.errors import UsageError
from engine.core.settings import LoadedSettings, Settings, load_settings
from tui.console.keymap import CONTEXTS, Keymap, all_bindings, read_keymap, readable_key


def keymap(keys: Mapping[str, str]) -> Keymap:
    return read_keymap(LoadedSettings(Settings(keys=keys), {}))


def binding(name: str) -> Binding:
    return next(each for _title, each in all_bindings() if each.id == name)


def test_keys_are_named_or_written_and_several_are_separated_by_commas() -> None:
    keys = keymap({"pause": "P, ctrl+y", "help": "z,?,comma", "follow": "+"})
    assert keys.chosen == {
        "pause": "P,ctrl+y",
        "help": "z,question_mark,comma",
        "follow": "plus",
    }
    assert keys.readable(binding("help")) == "z ? ,"
    assert keys.readable(binding("follow")) == "+"
    assert keys.readable(binding("quit")) == "q", "others keep theirs"


def test_two_can_change_places() -> None:
    keys = keymap({"follow": "space", "pause": "f"})
    assert keys.readable(binding("follow")) == "space"
    assert keys.readable(binding("pause")) == "f"


def test_a_key_may_mean_two_things_where_they_are_never_offered_together() -> None:
    assert keymap({"process.why": "p"}).chosen, "p is presets, but in the matrix"


@pytest.mark.parametrize(
    ("keys", "message", "fix"),
    [
        ({"pauze": "p"}, "there is no key id 'pauze'", "nearest: pause"),
        ({"zzz": "p"}, "there is no key id 'zzz'", "boxscope config keys"),
        ({"pause": "F99"}, "there is no key 'F99', wanted for pause", "f2"),
        ({"pause": ""}, "there is no key ''", "comma"),
        ({"pause": "f,,g"}, "there is no key ''", "comma"),
        ({"pause": "hyper"}, "there is no key 'hyper'", "such as"),
        ({"pause": "cmd+x"}, r"there is no key 'cmd\+x'", "ctrl"),
        ({"pause": "shift+a"}, r"there is no key 'shift\+a'", "write A"),
        ({"pause": "\x1b"}, "there is no key '␛'", "write a character"),
        ({"filter.done": "x"}, "key x of filter.done would be typed", "f2"),
        ({"dialog.accept": "-"}, "key - of dialog.accept would be typed", "f2"),
        ({"pause": "p"}, "p would be both pause and matrix.presets.*in the matrix", "give pause"),
        ({"follow": "space"}, "space would be both follow and pause", "or pause too"),
        ({"pause": "h", "follow": "h"}, "h would be both follow and pause", "another key"),
        ({"help": "ctrl+p"}, r"ctrl\+p would be both help and palette", "palette too"),
    ],
)
def test_what_could_not_work_is_refused(keys: dict[str, str], message: str, fix: str) -> None:
    with pytest.raises(UsageError, match=message) as refused:
        keymap(keys)
    assert fix in refused.value.fix


@pytest.mark.parametrize(
    ("name", "line"), [("pane.2", 'pane.2 = "F99"'), ("pause", 'pause = "matrix"')]
)
def test_a_refusal_names_the_file_and_the_line(tmp_path: Path, name: str, line: str) -> None:
    folder = tmp_path / "boxscope"
    folder.mkdir()
    (folder / "config.toml").write_text(f'history = 500\n[keys]\nfollow = "F"\n{line}\n')
    with pytest.raises(UsageError, match=rf"for {name} \(.*config.toml, line 4\)"):
        read_keymap(load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)}))


def test_a_refusal_names_the_variable() -> None:
    with pytest.raises(UsageError, match=r"'pauze' \(environment\)"):
        read_keymap(load_settings(environ={"BOXSCOPE_KEYS": "pauze=p"}))


@pytest.mark.parametrize(
    ("key", "shown"),
    [("question_mark", "?"), ("space", "space"), ("pageup", "page-up"), ("minus", "-")],
)
def test_keys_are_told_as_people_write_them(key: str, shown: str) -> None:
    assert readable_key(key) == shown


@pytest.mark.parametrize("place", CONTEXTS)
def test_no_key_means_two_things_in_one_place(place: str) -> None:
    owners: dict[str, list[str | None]] = {}
    for each in CONTEXTS[place]:
        for key in each.key.split(","):
            owners.setdefault(key, []).append(each.id)
    twice = {key for key, ids in owners.items() if len(set(ids)) > 1}
    # Escape closes the innermost thing that is open; enter does so from within bytes too.
    assert twice <= {"escape", "enter"}


def test_every_binding_of_every_screen_can_be_changed_and_is_in_the_help() -> None:
    for module in pkgutil.walk_packages(tui.console.__path__, "tui.console."):
        importlib.import_module(module.name)
    listed = {each.id for _title, each in all_bindings()}
    offered = {each.id for bindings in CONTEXTS.values() for each in bindings}
    found = [
        each
        for node in _nodes(DOMNode)
        if node.__module__.startswith("tui.")
        for each in node.__dict__.get("BINDINGS", ())
    ]
    assert len(found) > 100
    assert all(isinstance(each, Binding) for each in found)
    assert {each.id for each in found} <= listed
    assert listed <= offered, "a key nobody checks for clashes"


def _nodes(base: type[DOMNode]) -> set[type[DOMNode]]:
    return {base}.union(*map(_nodes, base.__subclasses__()))


def test_texts_name_the_keys_there_are() -> None:
    text = "press {toggle}, or {quit}; {no.such} {} {Toggle}"
    assert Keymap().fill(text) == "press t, or q; {no.such} {} {Toggle}"
    assert keymap({"toggle": "f8,z"}).fill(text).startswith("press f8, or q;")
