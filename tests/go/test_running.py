"""Go plugins opened, asked and called for real, in a host built for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import ModuleLoadError, RequirementError
from engine.modules.runner.go_build import GoBuild, build_of, find_toolchain
from engine.modules.runner.protocol import Limits
from tests.go.workshop import GO, ROOT, TOOLCHAINS, Workshop
from tests.unit.modules.runner.support import DEADLINE_S, SOON, Modules, running_modules

DOCTOR = str(ROOT / "fixtures" / "modules" / "doctor")
HEALTH = "HealthCheck() error"
PANICS = """package main

import "C"

func boom() { panic("no license") }
func init() { boom() }

var Doctor int
"""
HANGS = """package main

import "C"

func init() { select {} }

var Doctor int
"""


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Modules]:
    """An engine that finds the tests' toolchains, and what they have compiled already."""
    cache = tmp_path / "boxscope" / "modules"
    cache.mkdir(parents=True)
    (cache / "build").symlink_to(TOOLCHAINS / "cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("GOROOT", str(TOOLCHAINS / GO))
    with running_modules() as running:
        yield running


@pytest.fixture
def doctor(workshop: Workshop) -> Path:
    """The demo's Go plugin."""
    return workshop.plugin("doctor.so", "-trimpath", source=DOCTOR)


def source(folder: Path, text: str) -> str:
    """A directory with a program in it."""
    folder.mkdir()
    (folder / "main.go").write_text(text)
    (folder / "go.mod").write_text("module example.com/ill\n\ngo 1.21\n")
    return str(folder)


def test_a_health_check_of_a_go_plugin(modules: Modules, doctor: Path) -> None:
    modules.load(doctor, symbol="Doctor", interface=HEALTH, call="HealthCheck")
    modules.event("doctor", "ready")
    assert modules.told("doctor") == [
        "started", "watched", "contained", "opening", "opened", "initialised", "symbol_found",
        "interface_satisfied", "called", "returned", "ready",
    ]  # fmt: skip
    assert modules.event("doctor", "returned")["text"] == "nil"
    found = modules.event("doctor", "symbol_found")["text"]
    assert found == ("*main.BadNastyDoctor with HealthCheck() error, Poke(int) (string, error)")
    modules.engine.call_module("doctor", "Poke", (3,))
    assert modules.event("doctor", "returned", 2)["text"] == "poked 3, nil"


@pytest.mark.parametrize(
    ("symbol", "kind"), [("DoctorPtr", "**main.BadNastyDoctor"), ("AsHealer", "*main.Healer")]
)
def test_the_two_mistakes_of_authors_in_the_words_of_the_run_time(
    modules: Modules, doctor: Path, symbol: str, kind: str
) -> None:
    modules.load(doctor, symbol=symbol, interface=HEALTH)
    assert modules.event("doctor", "symbol_found")["text"] == kind
    assert modules.event("doctor", "interface_missing")["text"] == (
        f"interface conversion: {kind} is not main.wanted: missing method HealthCheck"
    )


def test_a_panic_in_init_is_told_with_the_plugins_own_frame(
    modules: Modules, workshop: Workshop, tmp_path: Path
) -> None:
    plugin = workshop.plugin("ill.so", source=source(tmp_path / "ill", PANICS))
    modules.load(plugin, name="ill")
    row = modules.gone("ill")
    assert row["error"].startswith("module ill: panicked: in init: panic: no license, in ")
    assert "boom at main.go:5" in row["error"]


def test_an_init_that_never_returns_is_killed(
    modules: Modules, workshop: Workshop, tmp_path: Path
) -> None:
    plugin = workshop.plugin("hangs.so", source=source(tmp_path / "hangs", HANGS))
    modules.load(plugin, name="hangs", limits=SOON)
    row = modules.gone("hangs")
    assert row["error"] == "module hangs: killed: opening it had not returned after 1 s"


def test_an_interface_that_does_not_compile_is_said_to_be_the_reason(
    modules: Modules, doctor: Path
) -> None:
    with pytest.raises(ModuleLoadError, match=r"does not compile: .*undefined: Ward"):
        modules.load(doctor, symbol="Doctor", interface="Admit(Ward)")


def test_a_library_that_panics_dies_with_the_reason(modules: Modules, workshop: Workshop) -> None:
    library = workshop.c_shared("shared.so")
    modules.load(library, name="shared", limits=Limits(open_s=DEADLINE_S))
    modules.event("shared", "initialised")
    assert modules.row("shared")["state"] == "running"


def test_without_its_toolchain_it_is_said_which_one_it_takes() -> None:
    with pytest.raises(RequirementError, match=r"a plugin of go1\.2\.3 takes that toolchain"):
        find_toolchain("go1.2.3")


def test_what_of_a_build_its_host_shares() -> None:
    settings = {"-trimpath": "true", "-tags": "a,b", "-ldflags": "-s", "GOAMD64": "v3"}
    assert build_of("go1.26.6-X:arenas", settings) == GoBuild(
        "go1.26.6", ("-trimpath", "-tags=a,b"), (("GOAMD64", "v3"), ("GOEXPERIMENT", "arenas"))
    )
