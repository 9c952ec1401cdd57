"""Settings: a file, overridden by the environment, overridden by flags.

The file is `$XDG_CONFIG_HOME/boxscope/config.toml` (`~/.config/...` without it), the variables
are `BOXSCOPE_<NAME>`. `load_settings` also tells where each value came from.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from engine.core.collectors import check_endpoint, read_headers
from engine.core.errors import UsageError

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
    flags: Mapping[str, object] | None = None, environ: Mapping[str, str] = os.environ
) -> LoadedSettings:
    """Read the file, the environment and the flags, in rising order of precedence.

    Args:
        flags: Values given on the command line; None means not given.
        environ: The environment. `BEYLA_OPEN_PORT` stands in for `BOXSCOPE_OPEN_PORT`.

    Raises:
        UsageError: a value or a name is wrong; the message says which, and where it stands.
    """
    values: dict[str, object] = {}
    origins = dict.fromkeys(Settings.model_fields, "default")
    for origin, layer in (
        (str(config_path(environ)), _from_file(config_path(environ))),
        ("BEYLA_OPEN_PORT", _beyla(environ)),
        ("environment", _from_environment(environ)),
        ("flag", {name: value for name, value in (flags or {}).items() if value is not None}),
    ):
        values |= layer
        origins |= dict.fromkeys(layer, origin)
    try:
        return LoadedSettings(Settings.model_validate(values), origins)
    except ValidationError as error:
        raise _explain(error, origins) from error


def _from_file(path: Path) -> dict[str, object]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}", fix="mend or remove it") from error


def _beyla(environ: Mapping[str, str]) -> dict[str, object]:
    text = environ.get("BEYLA_OPEN_PORT", "")
    return {"open_port": text} if text else {}


def _from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    return {names[key]: value for key, value in environ.items() if key in names and value}


def _explain(error: ValidationError, origins: Mapping[str, str]) -> UsageError:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = ", ".join(Settings.model_fields)
        return UsageError(f"there is no setting {name!r}", fix=f"settings are: {known}")
    value = "" if name in _SECRET else f" = {first.get('input')!r}"
    return UsageError(
        f"setting {name}{value} (from {origins.get(name, '?')}): {first['msg']}",
        fix=Settings.model_fields[name].description or "",
    )
