"""File, environment, flags: the later wins, and each value knows where it came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import UsageError
from engine.core.settings import load_settings


def write_config(home: Path, text: str) -> dict[str, str]:
    folder = home / "boxscope"
    folder.mkdir()
    (folder / "config.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(home)}


def test_defaults_need_nothing(tmp_path: Path) -> None:
    loaded = load_settings(environ={"HOME": str(tmp_path)})
    assert loaded.values.open_port == ""
    assert set(loaded.origins.values()) == {"default"}


def test_the_later_source_wins(tmp_path: Path) -> None:
    environ = write_config(tmp_path, 'history = 500\nopen_port = "80"\nwasm_deadline_ms = 7\n')
    environ |= {"BEYLA_OPEN_PORT": "81", "BOXSCOPE_HISTORY": "600"}
    loaded = load_settings({"history": 700, "stream_redraws": None}, environ)
    assert loaded.values.history == 700
    assert loaded.values.open_port == "81"
    assert loaded.values.wasm_deadline_ms == 7
    assert loaded.origins["history"] == "flag"
    assert loaded.origins["open_port"] == "BEYLA_OPEN_PORT"
    assert loaded.origins["wasm_deadline_ms"].endswith("config.toml")
    assert loaded.origins["stream_redraws"] == "default"


def test_an_empty_variable_counts_as_absent_but_blanks_are_a_value(tmp_path: Path) -> None:
    environ = write_config(tmp_path, 'open_port = "80"\n')
    assert load_settings(environ=environ | {"BEYLA_OPEN_PORT": ""}).values.open_port == "80"
    assert load_settings(environ=environ | {"BEYLA_OPEN_PORT": "  "}).values.open_port == "  "


def test_our_own_variable_beats_beylas() -> None:
    environ = {"BEYLA_OPEN_PORT": "81", "BOXSCOPE_OPEN_PORT": "82"}
    assert load_settings(environ=environ).values.open_port == "82"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("history = ", "is not valid TOML"),
        ("history = 1", r"setting history = 1 \(from .*config.toml, line 1\)"),
        (
            "ring_mib = 12",
            r"setting ring_mib = 12 \(from .*config.toml, line 1\): .*not a power of two",
        ),
        ("snaplen = 2049", "setting snaplen = 2049"),
        ("fault_interval = 0", "setting fault_interval = 0"),
        ("traffic_truncation = 255", "setting traffic_truncation = 255"),
        ('traffic_order = "mine"', "setting traffic_order = 'mine'"),
        ("colour = 3", "there is no setting 'colour'"),
    ],
)
def test_a_wrong_value_says_where_it_stands(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_settings(environ=write_config(tmp_path, text))


def test_what_the_kernel_probe_can_be_told(tmp_path: Path) -> None:
    environ = write_config(tmp_path, "ring_mib = 32\nsegment_interval_s = 0\n")
    environ |= {"BOXSCOPE_DESCRIBE_FDS": "false", "BOXSCOPE_FAULT_INTERVAL": "1"}
    loaded = load_settings({"snaplen": 0}, environ)
    values = loaded.values
    assert (values.ring_mib, values.segment_interval_s, values.describe_fds) == (32, 0.0, False)
    assert (values.fault_interval, values.snaplen) == (1, 0)
    assert loaded.origins["describe_fds"] == "environment"
    assert loaded.origins["snaplen"] == "flag"


def test_how_traffic_is_read(tmp_path: Path) -> None:
    environ = write_config(tmp_path, 'traffic_order = "agent"\ntraffic_truncation = 4096\n')
    environ |= {"BOXSCOPE_TRAFFIC_CACHE": "true", "BOXSCOPE_WASM_STRICT": "no"}
    loaded = load_settings({"traffic_reassemble": True, "traffic_truncation": None}, environ)
    values = loaded.values
    assert (values.traffic_order, values.traffic_truncation) == ("agent", 4_096)
    assert (values.traffic_cache, values.traffic_reassemble) == (True, True)
    assert not values.wasm_strict
    assert loaded.origins["traffic_reassemble"] == "flag"
    assert loaded.origins["traffic_cache"] == loaded.origins["wasm_strict"] == "environment"
    assert loaded.origins["traffic_truncation"].endswith("config.toml")


def test_a_wrong_value_further_down_says_its_line(tmp_path: Path) -> None:
    text = '# snaplen = 1\nopen_port = "80"\n\nsnaplen = 9999\n'
    with pytest.raises(UsageError, match=r"config.toml, line 4\)"):
        load_settings(environ=write_config(tmp_path, text))


def test_a_workspace_comes_between_the_environment_and_the_flags(tmp_path: Path) -> None:
    environ = write_config(tmp_path, 'theme = "nord"\n') | {"BOXSCOPE_OPEN_PORT": "80"}
    given = {"open_port": "81", "theme": "ansi-dark"}
    loaded = load_settings(environ=environ, workspace=given)
    assert (loaded.values.open_port, loaded.origins["open_port"]) == ("81", "workspace")
    assert (loaded.values.theme, loaded.origins["theme"]) == ("ansi-dark", "workspace")
    assert load_settings({"open_port": "82"}, environ, workspace=given).values.open_port == "82"


def test_each_key_comes_from_the_last_that_names_it(tmp_path: Path) -> None:
    environ = write_config(tmp_path, '[keys]\npause = "p"\nfollow = "F"\n')
    loaded = load_settings(environ=environ | {"BOXSCOPE_KEYS": "follow=end,G  help=h"})
    assert loaded.values.keys == {"pause": "p", "follow": "end,G", "help": "h"}
    assert loaded.origins["keys.pause"].endswith("config.toml")
    assert loaded.origins["keys.follow"] == loaded.origins["keys.help"] == "environment"


@pytest.mark.parametrize("text", ["pause", "pause=", "=p", "pause = p"])
def test_a_variable_with_keys_is_pairs(text: str) -> None:
    with pytest.raises(UsageError, match="is not ID=KEY"):
        load_settings(environ={"BOXSCOPE_KEYS": text})


def test_a_key_that_is_no_text_says_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"keys.pause = 3 \(from .*config.toml, line 3\)"):
        load_settings(environ=write_config(tmp_path, "history = 500\n[keys]\npause = 3\n"))


def test_ids_have_dots_quoted_or_not(tmp_path: Path) -> None:
    text = '[keys]\npane.2 = "p"\n"pane.3" = "P"\nrow.page_up = 1\n'
    with pytest.raises(UsageError, match=r"keys.row.page_up = 1 \(from .*, line 4\)"):
        load_settings(environ=write_config(tmp_path, text))
    (tmp_path / "boxscope" / "config.toml").write_text(text.replace("= 1", '= "b"'))
    loaded = load_settings(environ={"XDG_CONFIG_HOME": str(tmp_path)})
    assert loaded.values.keys == {"pane.2": "p", "pane.3": "P", "row.page_up": "b"}
