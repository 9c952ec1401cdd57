"""What selects processes on the command line: Beyla's file and variables, flags, settings."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from engine.core.settings import LoadedSettings

if TYPE_CHECKING:
    from engine.discovery.config import DiscoveryConfig

F = TypeVar("F", bound=Callable[..., object])

_ORIGINS = {
    "flag": "--open-port",
    "workspace": "the workspace",
    "environment": "BOXSCOPE_OPEN_PORT",
}
"""What ports are said to come from that come before Beyla's."""


def selectors(command: F) -> F:
    """Add `--beyla-config`, `--faithful` and `--inherit`."""
    for option in (
        click.option(
            "--inherit/--no-inherit",
            default=None,
            help="Select children of selected processes too. Default: yes, if anything selects.",
        ),
        click.option("--faithful", is_flag=True, help="Decide as Beyla does, with its quirks."),
        click.option(
            "--beyla-config",
            type=click.Path(path_type=Path),
            metavar="YAML",
            help="Select as this Beyla configuration does. Default: BEYLA_CONFIG_PATH.",
        ),
    ):
        command = option(command)
    return command


def discovery_config(
    loaded: LoadedSettings,
    exe: str,
    beyla_config: Path | None,
    faithful: bool,
    inherit: bool | None,
) -> DiscoveryConfig:
    """Beyla's file and environment, then what was typed or set for boxscope.

    Ports in boxscope's own settings file count only if nothing of Beyla's names any.

    Raises:
        UsageError: if something in the file or a variable is wrong.
    """
    from engine.discovery.config import load_config

    if beyla_config is None and os.environ.get("BEYLA_CONFIG_PATH"):
        beyla_config = Path(os.environ["BEYLA_CONFIG_PATH"])
    config = replace(load_config(beyla_config, faithful=faithful), inherit=inherit)
    came_from = loaded.origins["open_port"]
    text: str | None = None
    if came_from in _ORIGINS or (
        came_from not in ("default", "BEYLA_OPEN_PORT") and "open_port" not in config.origins
    ):
        text = loaded.values.open_port
    return config.with_selectors(open_port=text, exe=exe, origin=_ORIGINS.get(came_from, came_from))
