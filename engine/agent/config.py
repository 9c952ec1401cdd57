"""What an Elkeid server pushes: a list of plugins with the seven fields of its `Config` message.

A file holds the list as YAML or JSON:

    - name: flood               # also the name of its directory and of its executable
      version: "1.2"            # compared for equality only
      type: exec                # tar.gz = an archive, anything else = a single executable
      sha256: 9f86d081...       # of what is downloaded
      signature: ""             # SHA-256 of the executable; empty = sha256
      download_urls: []         # tried in order
      detail: ""                # handed to the plugin as DETAIL
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from engine.core.errors import UsageError
from engine.core.files import read_named
from engine.core.sanitise import clean

AGENT_NAME = "elkeid-agent"
"""The entry by which a server upgrades the agent itself, and whose tasks are the agent's own."""
ARCHIVE = "tar.gz"
MAX_BYTES = 4 * 1024 * 1024


class PluginConfig(BaseModel):
    """One plugin as it is to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: str
    type: str = "exec"
    sha256: str = ""
    signature: str = ""
    download_urls: tuple[str, ...] = ()
    detail: str = ""

    @property
    def wanted_signature(self) -> str:
        """SHA-256 the executable is to have, as far as it was given."""
        return self.signature or self.sha256


class ConfigList(NamedTuple):
    """A list as it was read."""

    configs: tuple[PluginConfig, ...]
    notes: tuple[str, ...]
    """What was left out, as text fit to be shown."""


def read_config(path: Path) -> ConfigList:
    """Read a list of plugins from a file.

    Raises:
        UsageError: it cannot be read, or is no such list; the message says where.
    """
    text = read_named(path, MAX_BYTES, fix="give the path of a YAML or JSON file")
    return parse_config(text, clean(str(path)))


def parse_config(text: bytes, source: str) -> ConfigList:
    """Read a list of plugins from YAML or JSON.

    Args:
        text: The list.
        source: What it is called in error messages.

    Raises:
        UsageError: it is no such list.
    """
    configs: list[PluginConfig] = []
    notes: list[str] = []
    for number, item in enumerate(_items(text, source), start=1):
        config = _config(item, f"{source}, item {number}")
        if config.name == AGENT_NAME:
            notes.append(f"{AGENT_NAME} is ignored: boxscope is not upgraded by a plugin list")
        elif any(config.name == other.name for other in configs):
            raise UsageError(
                f"{source}, item {number}: {clean(config.name, 80)} is in the list twice",
                fix="a plugin is known by its name; remove one of them",
            )
        else:
            configs.append(config)
    return ConfigList(tuple(configs), tuple(notes))


def _items(text: bytes, source: str) -> list[object]:
    try:
        decoded = text.decode("utf-8-sig")
        is_json = decoded.lstrip()[:1] in ("[", "{")
        # JSON may be indented with tabs, which YAML refuses.
        found: object = json.loads(decoded) if is_json else yaml.safe_load(decoded)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError, RecursionError) as error:
        reason = clean(" ".join(str(error).split()), 300)
        raise UsageError(f"{source} is neither YAML nor JSON: {reason}") from error
    if not isinstance(found, list):
        raise UsageError(f"{source} is not a list", fix="each plugin is an item: `- name: ...`")
    return found


def _config(item: object, place: str) -> PluginConfig:
    if not isinstance(item, dict):
        raise UsageError(f"{place} is not a mapping", fix="such as `name: flood`")
    try:
        return PluginConfig.model_validate(item)
    except ValidationError as error:
        first = error.errors()[0]
    field = clean(".".join(str(part) for part in first["loc"]), 80)
    if first["type"] == "extra_forbidden":
        known = ", ".join(PluginConfig.model_fields)
        raise UsageError(f"{place}: there is no field {field!r}", fix=f"fields are: {known}")
    if first["type"] == "missing":
        raise UsageError(f"{place} has no {field}", fix="name and version are needed")
    value = clean(repr(first.get("input")), 80)
    raise UsageError(
        f"{place}: {field} is {value}: {first['msg']}",
        fix="put versions and digests in quotes" if first["type"] == "string_type" else "",
    )
