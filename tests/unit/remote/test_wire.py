"""What travels arrives as it was: records, pictures, refusals, arguments and results."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import engine.core.errors as errors
from engine.core.errors import AttachError, BoxscopeError, FailedError, UsageError
from engine.core.filters import FilterError
from engine.core.kinds import KINDS
from engine.core.lineage import living_processes
from engine.core.records import Record
from engine.core.snapshot import RecordingFacts
from engine.discovery.config import DiscoveryConfig
from engine.discovery.explain import explain
from engine.discovery.policy import policy_of
from engine.engine import Engine
from engine.modules.runner.protocol import Limits, Wanted
from engine.recording.options import RecordingOptions
from engine.remote import commands
from engine.remote.commands import COMMANDS, Command
from engine.remote.wire import (
    PIECE,
    error_from,
    error_to_plain,
    pieces,
    record_text,
    records_from,
    snapshot_from,
    snapshot_message,
)
from engine.workspace import Loaded, ModulePart, PluginPart
from tests.ui.fake_engine import FakeEngine, record

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)  # fmt: skip


def there_and_back(value: object) -> Any:
    return json.loads(json.dumps(value))


@settings(max_examples=100)
@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_record_of_any_kind_arrives_as_it_was(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.tuples(*(VALUES for _ in KINDS[kind].fields)))
    pid, comm = data.draw(st.none() | st.integers(0, 2**22)), data.draw(st.none() | st.text())
    before = Record(kind, data.draw(st.integers(1, 2**60)), 2**60, pid, comm, values)
    assert records_from(kind, [json.loads(record_text(before))]) == (before,)


@pytest.mark.fuzz("attach protocol")
@pytest.mark.parametrize(
    "shown",
    [None, {}, [5], [[]], [[1, 2, None, None, []]], [["1", 2, None, None, [None] * 99]]],
    ids=str,
)
def test_what_is_no_record_is_refused(shown: object) -> None:
    with pytest.raises(AttachError):
        records_from("log", shown)
    with pytest.raises(AttachError):
        records_from("no_such_kind", [])


@settings(max_examples=50)
@given(st.lists(st.integers(0, 3 * PIECE).map(lambda size: "x" * size), max_size=6))
def test_pieces_keep_all_texts_in_order_and_none_is_empty(texts: list[str]) -> None:
    lots = list(pieces(texts))
    assert [text for lot in lots for text in lot] == texts
    assert all(lots)
    assert all(len(lot) == 1 or sum(map(len, lot)) <= PIECE for lot in lots)


def test_a_picture_arrives_as_it_was() -> None:
    engine = FakeEngine()
    engine.set_table("process", [record("process", 7, "cat", exe="/bin/cat")])
    engine.set_source("probe", "failed", "no right", "sudo")
    picture = replace(engine.snapshot(), recording=RecordingFacts("/x.db", 5, 6))
    told = there_and_back(snapshot_message(picture))
    assert snapshot_from(told, picture.tables) == picture


@pytest.mark.parametrize("part", ["host", "sources", "tables", "wall_ns", "own_cpu", "recording"])
def test_a_picture_with_something_else_in_it_is_refused(part: str) -> None:
    message = snapshot_message(FakeEngine().snapshot())
    with pytest.raises(AttachError, match="a value that cannot be"):
        snapshot_from({**message, part: {"no": "such"}}, {})


KNOWN = [cls for cls in vars(errors).values() if isinstance(cls, type)]


@pytest.mark.parametrize("cls", KNOWN, ids=lambda cls: cls.__name__)
def test_a_refusal_is_raised_as_what_it_was(cls: type[BoxscopeError]) -> None:
    again = error_from(there_and_back(error_to_plain(cls("it failed", fix="mend it"))))
    assert type(again) is cls
    assert (again.message, again.fix) == ("it failed", "mend it")


def test_a_refusal_of_a_class_known_to_a_part_alone_is_its_ancestor() -> None:
    again = error_from(error_to_plain(FilterError("x ==", 3, 4, "a value is missing")))
    assert type(again) is UsageError


@pytest.mark.parametrize("shown", [None, 5, {"class": "annotations"}, {"class": "nothing"}])
def test_a_refusal_nobody_understands_is_one_all_the_same(shown: object) -> None:
    assert type(error_from(shown)) is FailedError


# Commands.


def passed_on(name: str, arguments: dict[str, object]) -> dict[str, Any]:
    """Arguments as the engine gets them."""
    command = COMMANDS[name]
    shown = there_and_back(commands.arguments_to_plain(command, arguments))
    return commands.arguments_from(command, shown)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("switch", {"subscriptions": [("@network", ""), ("x", "net")], "on": True}),
        ("set_pids", {"pids": frozenset({1, 2}), "follow": True}),
        ("load_plugin", {"executable": Path("/x/\udcff"), "name": "n", "detail": "ü\n"}),
        ("call_module", {"name": "n", "method": "m", "args": (1, "a", None, [{"b": 2.5}])}),
        ("rerun_payload", {"seq": 3, "payload": bytes(range(256)), "cuts": (1, 2)}),
        ("rerun_payload", {"seq": 3, "payload": None, "cuts": ()}),
        (
            "load_module",
            {
                "wanted": Wanted(Path("/m.so"), "S", args=(1, "x", 2.5), limits=Limits(1.0)),
                "name": "",
            },
        ),
        (
            "start_recording",
            {"path": Path("/r.db"), "options": RecordingOptions(60.0, 10**7, ("payloads",), "pid")},
        ),
        ("dump_recording", {"path": Path("/r.db"), "options": None}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_arguments_arrive_as_they_were(name: str, arguments: dict[str, object]) -> None:
    assert passed_on(name, arguments) == arguments


def test_an_explanation_of_a_real_process_arrives_as_it_was() -> None:
    before = explain(os.getpid(), policy_of(DiscoveryConfig().with_selectors(open_port="1")))
    hostile = replace(before, facts=replace(before.facts, comm=b"\xff\x1b[", argv=("a\udcff",)))
    command = COMMANDS["explain"]
    again = commands.result_from(
        command, there_and_back(commands.result_to_plain(command, hostile))
    )
    assert again == hostile
    assert list(again.lines()) == list(hostile.lines())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("raw", b"\x00\xff"),
        ("raw", None),
        ("rerun_payload", (4, 5)),
        ("stop_recording", RecordingFacts("/r.db", 1, 2)),
        ("stop_recording", None),
        ("load_wasm", "plugin"),
        ("unload_wasm", None),
        (
            "loaded",
            Loaded(
                (PluginPart(file=Path("/p"), name="p", detail="d"),),
                (ModulePart(file=Path("/m"), args=(1, "x")),),
                (Path("/w"),),
                frozenset({("read", "file")}),
            ),
        ),
    ],
)
def test_results_arrive_as_they_were(name: str, value: object) -> None:
    command = COMMANDS[name]
    shown = there_and_back(commands.result_to_plain(command, value))
    assert commands.result_from(command, shown) == value


def test_the_processes_of_the_box_arrive_as_they_were() -> None:
    command, before = COMMANDS["processes"], list(living_processes())
    shown = there_and_back(commands.result_to_plain(command, before))
    assert commands.result_from(command, shown) == before


@pytest.mark.fuzz("attach protocol")
@settings(max_examples=100)
@given(st.sampled_from(sorted(COMMANDS)), st.dictionaries(st.text(max_size=8), VALUES), st.data())
def test_arguments_are_the_commands_or_refused(
    name: str, shown: dict[str, object], data: st.DataObject
) -> None:
    command = COMMANDS[name]
    right = {argument: data.draw(VALUES) for argument in command.arguments}
    for told in (shown, right):
        with suppress(AttachError):
            accepted = commands.arguments_from(command, there_and_back(told))
            assert accepted.keys() == command.arguments.keys()


@pytest.mark.fuzz("attach protocol")
@pytest.mark.parametrize("name", ["stop", "start", "snapshot", "__class__", "_store", 5, None, []])
def test_nothing_but_the_commands_can_be_called(name: object) -> None:
    with pytest.raises(AttachError, match="this engine has no command"):
        commands.command_named(name)


def test_every_command_of_the_face_can_be_given_from_afar() -> None:
    own = {"sync", "processes"}
    here = {"tasks"}
    reading = {
        "start",
        "stop",
        "snapshot",
        "since",
        "last_seq",
        "process_tree",
        "epoch",
        "progress",
        "in_force",
        "is_shared",
        "recording_path",
    }
    of_replays = {"playhead", "step", "go_to", "next_problem"}
    face = {name for name in vars(Engine) if not name.startswith("_")}
    assert set(COMMANDS) - own == face - reading - of_replays - here


def test_whatever_changes_something_is_for_owners() -> None:
    harmless = {name for name, command in COMMANDS.items() if not command.changes}
    assert harmless == {"sync", "processes", "set_pids", "raw", "explain", "loaded"}
    assert Command({}).changes
