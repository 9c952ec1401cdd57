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
        ("history = 1", r"setting history = 1 \(from .*config.toml\)"),
        ("ring_mib = 12", r"setting ring_mib = 12 \(from .*config.toml\): .*not a power of two"),
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
