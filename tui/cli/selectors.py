"""What is looked at, as the command line says it: sources, and which processes.

Processes are selected by Beyla's file and variables, flags and settings.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from engine.core.settings import LoadedSettings
from tui.cli.options import open_port_option

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


def source_options(command: F) -> F:
    """Add the options that choose sources, and what of them: those of `record` and `engine`."""
    path = click.Path(path_type=Path)
    several: list[Callable[[F], F]] = [
        click.option(
            "-e",
            "--event",
            "events",
            multiple=True,
            metavar="NAME[:CATEGORY]",
            help="Kernel event to subscribe, as with events.",
        ),
        click.option(
            "--preset", "presets", multiple=True, metavar="NAME", help="The same as -e @NAME."
        ),
        click.option(
            "--subscriptions",
            "files",
            multiple=True,
            metavar="YAML",
            type=path,
            help="A file with subscriptions.",
        ),
        open_port_option,
        click.option(
            "--exe", default="", metavar="GLOB", help="Only processes with such an executable."
        ),
        selectors,
        click.option(
            "--attach", is_flag=True, help="Capture the traffic of the processes found, too."
        ),
        click.option(
            "--pid",
            "pids",
            type=click.IntRange(min=1),
            multiple=True,
            help="Kernel events of this process only, and its traffic.",
        ),
        click.option("--pcap", type=path, help="Read the traffic of a capture."),
        click.option("--wasm", type=path, multiple=True, help="Wasm plugins to ask."),
        click.option(
            "--plugin", "plugins", type=path, multiple=True, help="Plugin process to run meanwhile."
        ),
    ]
    for option in reversed(several):
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
