"""A workspace and an engine: what is opened is what is saved, and what is refused is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures
from engine.core.records import Record
from engine.core.settings import Settings
from engine.engine import Engine
from engine.live import LiveEngine
from engine.probe.catalogue import CELLS
from engine.probe.patterns import PRESET_MARK, cells_of_all
from engine.probe.presets import PRESETS
from engine.recording.replay import ReplayEngine
from engine.selection import PluginRequest, Selection
from engine.workspace import Loaded, ModulePart, PluginPart, Workspace
from engine.workspace_parts import load_parts, subscriptions_of, with_engine_state
from tests.ui.fake_engine import FakeEngine, record

FIXTURES = Path(fixtures.__file__).parent
LOAD = FIXTURES / "plugins" / "boxload"
DEMO = FIXTURES / "wasm" / "demo" / "demo.wasm"
DOCTOR = FIXTURES / "modules" / "doctor.py"


def workspace(**said: object) -> Workspace:
    return Workspace.model_validate({"version": 1, **said})


# Subscriptions.

WRITTEN = (
    *(PRESET_MARK + preset.name for preset in PRESETS),
    "syscall_exit-read:net",
    "syscall_exit-openat",
    "tracepoint-*",
    "*:signal",
)
ALL = tuple((cell.event.name, cell.category.label) for cell in CELLS)


def engine_with(on: frozenset[tuple[str, str]], missing: frozenset[tuple[str, str]]) -> FakeEngine:
    engine = FakeEngine()
    engine.set_table("subscription", [row(key, key in on, key in missing) for key in ALL])
    return engine


def row(key: tuple[str, str], on: bool, missing: bool) -> Record:
    why = "not on this kernel" if missing else ""
    return record("subscription", event=key[0], category=key[1], on=on, unavailable=why)


def meant(texts: tuple[str, ...]) -> frozenset[tuple[str, str]]:
    cells = cells_of_all(workspace(subscriptions=texts).pairs())
    return frozenset((cell.event.name, cell.category.label) for cell in cells)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(WRITTEN), unique=True).map(tuple), st.sets(st.sampled_from(ALL)))
def test_what_was_opened_and_not_changed_is_saved_as_it_was_written(
    texts: tuple[str, ...], missing: set[tuple[str, str]]
) -> None:
    unavailable = frozenset(missing)
    engine = engine_with(meant(texts) - unavailable, unavailable)
    assert subscriptions_of(engine, workspace(subscriptions=texts)) == texts


@settings(max_examples=15, deadline=None)
@given(st.sets(st.sampled_from(ALL), max_size=30))
def test_what_is_saved_means_what_is_on(on: set[tuple[str, str]]) -> None:
    saved = subscriptions_of(engine_with(frozenset(on), frozenset()), workspace())
    assert meant(saved) == on


def test_what_is_on_for_the_modules_alone_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = meant(("syscall_exit-openat",))
    engine = engine_with(meant(("@network",)) | theirs, frozenset())
    monkeypatch.setattr(engine, "loaded", lambda: Loaded(subscribed=theirs))
    assert subscriptions_of(engine, workspace(subscriptions=("@network",))) == ("@network",)
    assert meant(subscriptions_of(engine, workspace())) == meant(("@network",)) - theirs
    both = ("@network", "syscall_exit-openat")
    assert subscriptions_of(engine, workspace(subscriptions=both)) == both


def test_without_a_probe_what_was_wanted_stays_written() -> None:
    engine = engine_with(frozenset(), frozenset())
    engine.set_source("probe", "failed", "no right")
    said = workspace(subscriptions=("@network",))
    assert subscriptions_of(engine, said) == ("@network",)


# What is loaded, into a real engine.


@pytest.fixture
def engine() -> Engine:
    selection = Selection(
        agent=True, plugins=(PluginRequest(LOAD, "first"),), modules=(), wasm=(DEMO,)
    )
    return LiveEngine(selection, Settings())


def test_what_is_opened_is_what_is_saved(engine: Engine, tmp_path: Path) -> None:
    other = tmp_path / "other.wasm"
    other.write_bytes(DEMO.read_bytes())
    said = workspace(
        ports="80",
        plugins=[PluginPart(file=LOAD, detail="{}"), PluginPart(file=LOAD, name="twin")],
        modules=[
            ModulePart(file=DOCTOR, symbol="Doctor", interface="HealthCheck() error", args=(1,))
        ],
        wasm=[other],
    )
    with engine:
        restored = load_parts(engine, said)
        assert restored.errors == ()
        assert not restored.refused
        assert with_engine_state(said, engine, restored, ports="80") == said


def test_what_is_refused_is_told_and_kept_and_the_rest_is_loaded(
    engine: Engine, tmp_path: Path
) -> None:
    said = workspace(
        plugins=[PluginPart(file=tmp_path / "gone"), PluginPart(file=LOAD)],
        modules=[ModulePart(file=tmp_path / "gone.so")],
        wasm=[tmp_path / "gone.wasm"],
    )
    with engine:
        restored = load_parts(engine, said)
        assert len(restored.errors) == 3
        assert all("gone" in str(error) for error in restored.errors)
        assert [part.called for part in restored.refused.plugins] == ["gone"]
        assert "boxload" in {part.name for part in engine.loaded().plugins}
        assert with_engine_state(said, engine, restored, ports=None) == said


def test_what_is_loaded_later_is_saved_and_what_is_unloaded_is_not(engine: Engine) -> None:
    said = workspace(plugins=[PluginPart(file=LOAD, name="one"), PluginPart(file=LOAD, name="two")])
    with engine:
        restored = load_parts(engine, said)
        engine.unload_plugin("one")
        engine.load_plugin(LOAD, name="three")
        present = with_engine_state(said, engine, restored, ports=None)
        assert [part.name for part in present.plugins] == ["two", "three"]
        assert present.wasm == (), "what the engine began with is not the workspace's"


def test_a_recording_loads_nothing_and_says_so() -> None:
    engine = ReplayEngine(FIXTURES / "recordings" / "first-light.jsonl")
    try:
        said = workspace(wasm=[DEMO], subscriptions=["@network"])
        restored = load_parts(engine, said)
        assert "a recording has nothing to load plugins into" in str(restored.errors[0])
        assert with_engine_state(said, engine, restored, ports="1") == said
        assert load_parts(engine, workspace()).errors == ()
    finally:
        engine.close()


def test_an_engine_that_others_use_keeps_what_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    shared = engine_with(frozenset(), frozenset())
    monkeypatch.setattr(FakeEngine, "is_shared", True)
    said = workspace(
        subscriptions=["@network"], plugins=[PluginPart(file=LOAD)], filters={"events": "pid == 1"}
    )
    restored = load_parts(shared, said)
    assert shared.calls == []
    assert "the engine has its own" in str(restored.errors[0])
    assert restored.refused.plugins == said.plugins, "saving keeps them"
    assert load_parts(shared, workspace(filters={"events": "pid == 1"})).errors == ()
