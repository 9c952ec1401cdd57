"""The unit and the container file: commands that exist, rights that are explained."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from tui.cli.main import boxscope

ROOT = Path(__file__).parents[3]
UNIT = (ROOT / "packaging" / "boxscope-engine.service").read_text(encoding="utf-8")
CONTAINER = (ROOT / "packaging" / "Containerfile").read_text(encoding="utf-8")


def setting(name: str) -> str:
    """The value of a setting of the unit."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return str(value)


def test_the_unit_starts_a_command_that_exists() -> None:
    _path, verb, option, socket = setting("ExecStart").split()
    shown = CliRunner().invoke(boxscope, [verb, "--help"]).output
    assert f"{option} PATH" in shown
    assert socket == f"/run/{setting('RuntimeDirectory')}/engine.sock"
    assert setting("RuntimeDirectoryMode") == "0700"


def test_every_capability_of_the_unit_and_the_container_is_explained() -> None:
    rights = (ROOT / "docs" / "rights.md").read_text(encoding="utf-8")
    granted = set(setting("CapabilityBoundingSet").split())
    (listed,) = re.findall(r"--cap-add=(\S+)", CONTAINER)
    assert len(granted) == 6
    assert {f"CAP_{name}" for name in listed.split(",")} < granted
    assert all(f"`{name}`" in rights for name in granted)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "boxscope-engine.service"
    # It looks for the executable, which is installed elsewhere here.
    unit.write_text(UNIT.replace("/usr/local/bin/boxscope", "/bin/true"))
    ended = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_the_wheel_has_what_runs_and_not_what_only_tests_use() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["tui", "engine", "bpf", "fixtures"]
    used = "".join(
        path.read_text(encoding="utf-8")
        for package in ("tui", "engine")
        for path in (ROOT / package).rglob("*.py")
    )
    for excluded in wheel["exclude"]:
        path = ROOT / excluded
        assert path.exists(), excluded
        assert f'"{path.name}"' not in used, excluded
