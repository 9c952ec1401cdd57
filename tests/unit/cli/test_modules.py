"""`boxscope modules check` as a script sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.test_verbs import boxscope, objects
from tests.unit.modules.elf_writer import doctor_plugin


@pytest.fixture
def plugin(tmp_path: Path) -> str:
    """A Go plugin that no toolchain made."""
    path = tmp_path / "doctor.so"
    path.write_bytes(doctor_plugin().build())
    return str(path)


def test_a_plugin_is_described_and_never_called_safe(plugin: str) -> None:
    done = boxscope("modules", "check", plugin)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Go plugin"
    assert "black box" in lines[1]
    assert "plugin path    example.com/plug" in lines
    assert "linked         os/exec (of 3 packages)" in lines
    assert "  var   Doctor  main.Doctor  looked up as *main.Doctor" in lines
    assert "          HealthCheck() error" in lines


def test_one_object_has_all_that_is_known(plugin: str) -> None:
    (shown,) = objects(boxscope("modules", "check", plugin, "--json"))
    assert (shown["kind"], shown["file_kind"]) == ("module_verdict", "go_plugin")
    assert shown["loadable"] is True
    assert shown["go"]["packages"] == ["internal/goarch", "os/exec", "runtime/cgo"]
    assert [each["name"] for each in shown["go"]["exports"]] == [
        "Doctor",
        "Pointer",
        "Value",
        "New",
    ]
    assert "interface" not in shown


def test_an_interface_is_judged_symbol_by_symbol(plugin: str) -> None:
    done = boxscope("modules", "check", plugin, "--interface", "HealthCheck() error")
    assert done.returncode == 0
    assert "  satisfied by name  Doctor   *main.Doctor" in done.stdout.splitlines()
    assert "declare `var Pointer Doctor`" in done.stdout
    arguments = ("--interface", "HealthCheck() error", "--interface", "Poke(int) (string, error)")
    (shown,) = objects(boxscope("modules", "check", plugin, *arguments, "--json"))
    assert shown["interface"]["satisfied_by"] == ["Doctor"]
    mistakes = {each["symbol"]: each["mistake"] for each in shown["interface"]["symbols"]}
    assert mistakes["Pointer"] == "pointer_variable"
    assert mistakes["Value"] == "interface_variable"


def test_an_interface_that_nothing_satisfies_fails(plugin: str) -> None:
    done = boxscope("modules", "check", plugin, "--interface", "Close() error")
    assert (done.returncode, done.stderr) == (1, "")
    assert "no method Close() error" in done.stdout


@pytest.mark.parametrize("text", ["HealthCheck(", "lower() error"])
def test_an_interface_that_is_none_is_wrong_usage(plugin: str, text: str) -> None:
    done = boxscope("modules", "check", plugin, "--interface", text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("boxscope: ")


def test_what_is_no_module_is_refused_with_its_reason(tmp_path: Path) -> None:
    cut = tmp_path / "cut.so"
    cut.write_bytes(doctor_plugin().build()[:0x2000])
    done = boxscope("modules", "check", str(cut), "--interface", "HealthCheck() error")
    assert done.returncode == 1
    assert "refused  a part that is to be mapped lies behind its end" in done.stdout
    assert boxscope("modules", "check", "/bin/sh").returncode == 1


def test_what_cannot_be_read_is_an_error_that_names_it(tmp_path: Path) -> None:
    done = boxscope("modules", "check", str(tmp_path / "absent.so"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "No such file" in done.stderr
    assert boxscope("modules", "check", str(tmp_path)).returncode == 1


def test_a_python_module_is_described(tmp_path: Path) -> None:
    path = tmp_path / "doctor.py"
    path.write_text("import subprocess\nclass Doctor:\n  def check(self): ...\ndoctor = Doctor()\n")
    done = boxscope("modules", "check", str(path), "--interface", "check()")
    assert done.returncode == 0
    assert "reaches        subprocess" in done.stdout
    assert "  line 4: Doctor()" in done.stdout
