"""Settings: a file, overridden by the environment, overridden by flags.

The file is `$XDG_CONFIG_HOME/boxscope/config.toml` (`~/.config/...` without it), the variables
are `BOXSCOPE_<NAME>`; a workspace comes between them and the flags. `load_settings` also tells
where each value came from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from engine.core.collectors import check_endpoint, read_headers
from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.core.toml_file import Place, line_of, parse_toml, read_text

PREFIX = "BOXSCOPE_"
_SECRET = frozenset({"otlp", "otlp_headers"})
"""Settings whose value a message does not repeat."""


class Settings(BaseModel):
    """What can be set; every value has a default that serves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open_port: str = Field("", description="Ports to list processes for, e.g. 80,8000-8999.")
    scan_interval_s: float = Field(
        1.0, ge=0.1, le=60, description="Seconds between two scans for open ports."
    )
    history: int = Field(
        100_000, ge=100, le=10_000_000, description="Kernel events kept for the screen."
    )
    ring_mib: int = Field(
        8, ge=1, le=512, description="Kernel ring for events in MiB: 1, 2, 4, ... 512."
    )
    snaplen: int = Field(
        64, ge=0, le=2048, description="Bytes kept of what a call reads or writes; 0 for none."
    )
    segment_interval_s: float = Field(
        5.0, ge=0, le=3600, description="Between two reports of a socket's segments; 0: each."
    )
    fault_interval: int = Field(
        100, ge=1, le=1_000_000, description="Every n-th page fault of a process becomes an event."
    )
    describe_fds: bool = Field(
        True, description="Whether events tell what their file descriptor is: path, addresses, ..."
    )
    traffic_order: Literal["documented", "agent"] = Field(
        "documented",
        description="documented: HTTP, then Wasm plugins, then the rest; agent: plugins first.",
    )
    traffic_cache: bool = Field(
        False, description="Whether a server's protocol is remembered for 60 s, as agents do."
    )
    traffic_reassemble: bool = Field(
        False, description="Put TCP streams in order first; otherwise segment by segment."
    )
    traffic_truncation: int = Field(
        1_024, ge=256, le=65_535, description="Bytes of a payload that Wasm plugins are given."
    )
    traffic_session_s: float = Field(
        60.0, ge=1, le=3_600, description="Seconds a request waits for its response."
    )
    wasm_strict: bool = Field(
        True, description="Refuse Wasm plugins and results that a DeepFlow agent of today refuses."
    )
    wasm_deadline_ms: int = Field(
        100, ge=1, le=60_000, description="Longest a Wasm hook may run, in milliseconds."
    )
    wasm_memory_mib: int = Field(
        256, ge=1, le=4_095, description="Most memory a Wasm plugin may take, in MiB."
    )
    stream_redraws: float = Field(
        5.0, ge=0.5, le=30, description="Redraws per second of the streams."
    )
    table_redraws: float = Field(
        1.0, ge=0.2, le=5, description="Redraws per second of the tables and the header."
    )
    otlp: str = Field(
        "",
        description="OpenTelemetry collector to export to, as http://HOST:4318; env: as "
        "OTEL_EXPORTER_OTLP_* tell; empty: none.",
    )
    otlp_protocol: Literal["auto", "http", "grpc"] = Field(
        "auto", description="What it speaks; auto: as OTEL_EXPORTER_OTLP_PROTOCOL tells, or http."
    )
    otlp_headers: SecretStr = Field(
        SecretStr(""), description="Sent with each request: NAME=VALUE,NAME=VALUE, URL-encoded."
    )
    otlp_redact: str = Field(
        "", description="What is left out of the export: payloads, arguments, or both."
    )
    otlp_filter: str = Field(
        "", description="Which records are exported, in the filter language; all, if empty."
    )
    otlp_metrics_s: float = Field(
        10.0, ge=0.5, le=3_600, description="Seconds between two exports of the metrics."
    )
    otlp_retry_s: float = Field(
        300.0, ge=0, le=86_400, description="How long records are sent again until dropped."
    )
    otlp_flush_s: float = Field(
        2.0, ge=0, le=60, description="Longest that the end waits for what is still to be sent."
    )

    theme: str = Field(
        "boxscope-dark", description="Colours of the console; `boxscope config themes` lists all."
    )
    keys: Mapping[str, str] = Field(
        default_factory=dict,
        description="Keys of the console by the id of what they do; see `boxscope config keys`.",
    )

    @field_validator("ring_mib")
    @classmethod
    def _is_power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise ValueError("not a power of two")
        return value

    @field_validator("otlp")
    @classmethod
    def _is_endpoint(cls, value: str) -> str:
        return check_endpoint(value)

    @field_validator("otlp_headers")
    @classmethod
    def _are_headers(cls, value: SecretStr) -> SecretStr:
        read_headers(value.get_secret_value())
        return value


@dataclass(frozen=True)
class LoadedSettings:
    """The values in force and, by name, where each came from."""

    values: Settings
    origins: Mapping[str, str]


def config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the settings file is looked for."""
    base = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "/")) / ".config")
    return Path(base) / "boxscope" / "config.toml"


def load_settings(
    flags: Mapping[str, object] | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    workspace: Mapping[str, object] | None = None,
) -> LoadedSettings:
    """Read the file, the environment, the workspace and the flags, in rising order of precedence.

    `keys` is one value for each id: each comes from the last that names it, and its origin is
    under `keys.ID`.

    Args:
        flags: Values given on the command line; None means not given.
        environ: The environment. `BEYLA_OPEN_PORT` stands in for `BOXSCOPE_OPEN_PORT`.
        workspace: Values that a workspace gives.

    Raises:
        UsageError: a value or a name is wrong; the message says which, and where it stands.
    """
    path = config_path(environ)
    text = _read(path)
    layers: tuple[tuple[str, dict[str, object]], ...] = (
        (str(path), _from_file(text, path)),
        ("BEYLA_OPEN_PORT", _beyla(environ)),
        ("environment", _from_environment(environ)),
        ("workspace", dict(workspace or {})),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    )
    values: dict[str, object] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in layers:
        before, keys = values.get("keys"), layer.get("keys")
        values |= layer
        origins |= dict.fromkeys(layer, origin)
        if isinstance(keys, dict):
            values["keys"] = {**(before if isinstance(before, dict) else {}), **keys}
            origins |= dict.fromkeys([f"keys.{name}" for name in keys], origin)
    try:
        return LoadedSettings(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _explain(error, origins) from error


def place_in_file(origin: str, place: Place) -> str:
    """Where a value stands that came from the settings file: with its line. Else its origin."""
    if not origin.startswith("/"):
        return origin
    try:
        text = _read(Path(origin))
    except UsageError:
        text = ""
    dotted = [
        part for name in place for part in (name.split(".") if isinstance(name, str) else [name])
    ]
    line = max(line_of(text, place), line_of(text, dotted))
    return f"{clean(origin)}, line {line}" if line else clean(origin)


def _read(path: Path) -> str:
    try:
        return read_text(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""


def _from_file(text: str, path: Path) -> dict[str, object]:
    found = parse_toml(text, path)
    if isinstance(found.get("keys"), dict):
        found["keys"] = dict(_flat(found["keys"]))
    return found


def _flat(table: object, before: str = "") -> Iterator[tuple[str, object]]:
    """Ids have dots, which TOML takes for tables where they are not quoted."""
    if not isinstance(table, dict):
        yield before, table
        return
    for name, value in table.items():
        yield from _flat(value, f"{before}.{name}" if before else name)


def _beyla(environ: Mapping[str, str]) -> dict[str, object]:
    text = environ.get("BEYLA_OPEN_PORT", "")
    return {"open_port": text} if text else {}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    found: dict[str, object] = {
        names[key]: value for key, value in environ.items() if key in names and value
    }
    if "keys" in found:
        found["keys"] = _key_pairs(str(found["keys"]))
    return found


def _key_pairs(text: str) -> dict[str, str]:
    """Keys as a variable gives them: `pause=p follow=F,end`."""
    pairs = [pair.partition("=") for pair in text.split()]
    for name, equals, keys in pairs:
        if not (name and equals and keys):
            told = clean(name + equals + keys)
            raise UsageError(
                f"{PREFIX}KEYS: {told!r} is not ID=KEY", fix="as in pause=p follow=F,end"
            )
    return {name: keys for name, _equals, keys in pairs}


def _explain(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    origin = origins.get(name) or origins.get(str(first["loc"][0]), "?")
    where = place_in_file(origin, first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        told = clean(f"there is no setting {name!r} (from {where})")
        return UsageError(told, fix=f"settings are: {known}")
    value = "" if name in _SECRET else f" = {first.get('input')!r}"
    told = clean(f"setting {name}{value} (from {where}): {first['msg']}")
    return UsageError(told, fix=Settings.model_fields[str(first["loc"][0])].description or "")
