"""A plugin list is read from YAML or JSON, or the message says what is wrong where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import config
from engine.agent.config import PluginConfig, parse_config, read_config
from engine.core.errors import UsageError

FULL = {
    "name": "flood",
    "version": "1.2",
    "type": "tar.gz",
    "sha256": "0" * 64,
    "signature": "1" * 64,
    "download_urls": ["http://127.0.0.1/flood.tar.gz"],
    "detail": '{"rate": 5}',
}


def test_the_seven_fields_of_yaml_and_json_are_the_same() -> None:
    as_yaml = parse_config(yaml.safe_dump([FULL]).encode(), "list")
    as_json = parse_config(json.dumps([FULL], indent="\t").encode(), "list")
    wanted = PluginConfig.model_validate({**FULL, "download_urls": tuple(FULL["download_urls"])})
    assert as_yaml.configs == as_json.configs == (wanted,)
    assert as_yaml.notes == ()


def test_all_but_name_and_version_can_be_left_out() -> None:
    (one,) = parse_config(b"- name: flood\n  version: '1'\n", "list").configs
    assert one == PluginConfig(name="flood", version="1")
    assert (one.type, one.download_urls, one.wanted_signature) == ("exec", (), "")


def test_the_signature_defaults_to_sha256() -> None:
    assert PluginConfig(name="a", version="1", sha256="x").wanted_signature == "x"
    assert PluginConfig(name="a", version="1", sha256="x", signature="y").wanted_signature == "y"


def test_the_agents_own_entry_is_left_out_with_a_note() -> None:
    read = parse_config(b'[{"name": "elkeid-agent", "version": "1.9"}]', "list")
    assert read.configs == ()
    assert read.notes == ("elkeid-agent is ignored: boxscope is not upgraded by a plugin list",)


def test_an_empty_list_is_a_list() -> None:
    assert parse_config(b"[]", "list").configs == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "list is not a list"),
        (b"name: flood", "list is not a list"),
        (b'{"name": "flood"}', "list is not a list"),
        (b"- flood", "list, item 1 is not a mapping"),
        (b"[1, {}]", "list, item 1 is not a mapping"),
        (b"- version: '1'", "list, item 1 has no name (name and version are needed)"),
        (b"- name: flood", "list, item 1 has no version"),
        (b"- {name: flood, version: 1.2}", "version is 1.2: Input should be a valid string (put"),
        (b"- {name: f, version: '1', sha256: 12}", "sha256 is 12: Input should be a valid string"),
        (b"- {name: f, version: '1', urls: []}", "there is no field 'urls' (fields are: name,"),
        (b"- {name: f, version: '1', download_urls: x}", "download_urls is 'x': Input should be"),
        (b"- {name: f, version: '1', download_urls: [1]}", "download_urls.0 is 1"),
        (b"- {name: f, version: '1'}\n- {name: f, version: '2'}", "item 2: f is in the list twice"),
        (b"- {name: \x1b[2J", "neither YAML nor JSON"),
        (b"- {", "neither YAML nor JSON"),
        (b"[{]", "neither YAML nor JSON"),
        (b"\xff\xfe", "neither YAML nor JSON"),
        (b"[" * 100_000, "neither YAML nor JSON"),
        (b"- !!python/object/apply:os.system [true]", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_list_is_said(text: bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_config(text, "list")
    assert message in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.fuzz("plugin list")
@given(st.binary(max_size=80) | st.text("-[]{}:,'\"\n nametypversion1&*!|>", max_size=80))
def test_any_text_is_a_list_or_a_clear_error(text: bytes | str) -> None:
    raw = text.encode() if isinstance(text, str) else text
    try:
        read = parse_config(raw, "list")
    except UsageError:
        return
    assert all(isinstance(one, PluginConfig) for one in read.configs)


def test_a_file_is_read_or_the_error_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plugins.yaml"
    with pytest.raises(UsageError, match=r"cannot read .*plugins\.yaml: No such file"):
        read_config(path)
    path.write_text(yaml.safe_dump([FULL]))
    assert [one.name for one in read_config(path).configs] == ["flood"]
    monkeypatch.setattr(config, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match=r"plugins\.yaml is longer than"):
        read_config(path)
