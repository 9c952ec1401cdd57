"""`boxscope config`: what is in force, where it came from, and what could be set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tui.cli.main import main


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "boxscope").mkdir()
    return tmp_path / "boxscope" / "config.toml"


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_settings_keys_included_tell_where_they_came_from(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text('theme = "nord"\n[keys]\npane.2 = "P"\n')
    monkeypatch.setenv("BOXSCOPE_KEYS", "pause=f8")
    assert main(["config", "--json"]) == 0
    told = {
        each["name"]: (each["value"], each["origin"]) for each in lines(capsys.readouterr().out)
    }
    assert told["theme"] == ("nord", str(config))
    assert told["keys.pane.2"] == ("P", str(config))
    assert told["keys.pause"] == ("f8", "environment")
    assert told["history"] == (100_000, "default")


def test_every_key_is_printed_with_its_id(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config.write_text('[keys]\npause = "f8,ctrl+y"\n')
    assert main(["config", "keys", "--json"]) == 0
    told = {each["id"]: each for each in lines(capsys.readouterr().out)}
    assert told["pause"]["keys"] == ["f8", "ctrl+y"]
    assert told["pause"]["origin"] == str(config)
    assert told["help"]["keys"] == ["?", "f1"]
    assert main(["config", "keys"]) == 0
    assert "Hold this pane still" in capsys.readouterr().out


def test_the_themes_are_printed(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "themes", "--json"]) == 0
    told = {each["name"]: each["chosen"] for each in lines(capsys.readouterr().out)}
    assert told["boxscope-dark"] is True
    assert told["ansi-dark"] is False


@pytest.mark.parametrize(
    ("text", "verb", "message"),
    [
        ('[keys]\npause = "f"\n', "keys", "both follow and pause"),
        ('[keys]\npauze = "p"\n', "keys", "config.toml, line 2"),
        ('\ntheme = "nrd"\n', "themes", "config.toml, line 2"),
    ],
)
def test_what_the_console_would_refuse_is_refused(
    config: Path, capsys: pytest.CaptureFixture[str], text: str, verb: str, message: str
) -> None:
    config.write_text(text)
    for arguments in (["config"], ["config", verb]):
        assert main(arguments) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--workspace", "w.toml", "doctor"], "stands behind the command"),
        (["demo", "--headless", "--workspace", "w.toml"], "leave out --headless"),
        (["attach", "--headless", "--workspace", "w.toml"], "leave out --headless"),
    ],
)
def test_a_workspace_is_for_the_console(
    config: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
