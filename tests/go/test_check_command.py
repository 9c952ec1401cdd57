"""`boxscope modules check --host` on real hosts and plugins, as a script sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.go.workshop import ROOT, Workshop


def check(workshop: Workshop, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command where the files are; nothing of them may be imported from there."""
    command = [sys.executable, "-P", "-m", "tui.cli", "modules", "check", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command,
        cwd=workshop.folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def objects(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What it printed, whatever its verdict was."""
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_plugin_that_opens_is_a_success(workshop: Workshop) -> None:
    host, plugin = workshop.host(), workshop.plugin("plug.so")
    done = check(workshop, plugin.name, "--host", host)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("plug.so: opens\n  agree    all of ")


def test_a_refused_plugin_is_explained_and_mended(workshop: Workshop) -> None:
    host, plugin = workshop.host(), workshop.plugin("newer.so", "-modfile=newer.mod")
    done = check(workshop, plugin.name, "--host", host, "--json")
    (shown,) = objects(done)
    assert (done.returncode, shown["kind"], shown["file_kind"]) == (
        1,
        "module_verdict",
        "go_plugin",
    )
    verdict = shown["host"]
    assert verdict["outcome"] == "refused"
    assert verdict["text"].endswith("different version of package example.com/dep")
    (group,) = verdict["explanation"]["groups"]
    assert (group["module"], group["packages"]) == ("example.com/dep", ["example.com/dep"])
    assert group["host"].startswith("v1.0.0 =>")
    assert group["plugin"].startswith("v1.1.0 =>")
    assert [each["what"] for each in verdict["explanation"]["causes"]] == [
        "version of example.com/dep"
    ]
    assert verdict["explanation"]["fixes"][0].startswith("go mod edit -replace=example.com/dep=")


def test_the_setting_that_differs_is_named(workshop: Workshop) -> None:
    host = workshop.host()
    for flag in ("-trimpath", "-race"):
        plugin = workshop.plugin(f"{flag[1:]}.so", flag)
        (shown,) = objects(check(workshop, plugin.name, "--host", host, "--json"))
        (cause,) = shown["host"]["explanation"]["causes"]
        assert (cause["what"], cause["host"], cause["plugin"]) == (flag, "no", "true")


def test_files_are_opened_one_after_the_other(workshop: Workshop) -> None:
    host, good = workshop.host(), workshop.plugin("plug.so")
    bad = workshop.plugin("newer.so", "-modfile=newer.mod")
    done = check(workshop, bad.name, good.name, "gone.so", "--host", host, "--json")
    shown = objects(done)
    assert [each["host"]["outcome"] for each in shown] == ["refused"] * 3
    assert str(bad) in shown[1]["host"]["reason"]
    assert shown[2]["host"]["text"] == 'plugin.Open("gone.so"): realpath failed'
    assert done.returncode == 1


def test_it_can_be_asked_what_follows_a_panic(workshop: Workshop) -> None:
    host, plugin = workshop.host(), workshop.plugin("panics.so", source="panics")
    twice = (plugin.name, plugin.name, "--host", host)
    opens = check(workshop, *twice, "--json")
    assert [each["host"]["outcome"] for each in objects(opens)] == ["opens", "opens"]
    assert opens.returncode == 0
    hangs = check(workshop, *twice, "--init-panics", plugin.name, "--json")
    assert [each["host"]["outcome"] for each in objects(hangs)] == ["kills-host", "hangs"]
    assert hangs.returncode == 1


def test_only_a_program_is_a_host(workshop: Workshop) -> None:
    plugin = workshop.plugin("plug.so")
    done = check(workshop, plugin.name, "--host", plugin)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no program but a Go plugin" in done.stderr
    done = check(workshop, plugin.name, "--init-panics", plugin)
    assert (done.returncode, done.stdout) == (2, "")
