"""What is looked at, as the command line says it: sources, and which processes.

Processes are selected by Beyla's file and variables, flags and settings.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engine.core.settings import LoadedSettings
from tui.cli.options import open_port_option

if TYPE_CHECKING:
    from engine.discovery.config import DiscoveryConfig
    from tui.cli.events import Subscriptions

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


_PATH = click.Path(path_type=Path)
_SOURCE_OPTIONS: tuple[Callable[[Callable[..., int]], Callable[..., int]], ...] = (
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
        type=_PATH,
        help="A file with subscriptions.",
    ),
    open_port_option,
    click.option(
        "--exe", default="", metavar="GLOB", help="Only processes with such an executable."
    ),
    selectors,
    click.option("--attach", is_flag=True, help="Capture the traffic of the processes found, too."),
    click.option(
        "--pid",
        "pids",
        type=click.IntRange(min=1),
        multiple=True,
        help="Kernel events of this process only, and its traffic.",
    ),
    click.option("--pcap", type=_PATH, help="Read the traffic of a capture."),
    click.option("--wasm", type=_PATH, multiple=True, help="Wasm plugins to ask."),
    click.option(
        "--plugin", "plugins", type=_PATH, multiple=True, help="Plugin process to run meanwhile."
    ),
)


@dataclass(frozen=True)
class SourceChoice:
    """What somebody chose to look at; named as the options are."""

    events: tuple[str, ...]
    presets: tuple[str, ...]
    files: tuple[Path, ...]
    open_port: str | None
    exe: str
    beyla_config: Path | None
    faithful: bool
    inherit: bool | None
    attach: bool
    pids: tuple[int, ...]
    pcap: Path | None
    wasm: tuple[Path, ...]
    plugins: tuple[Path, ...]

    @property
    def by_event(self) -> bool:
        """Whether kernel events are named."""
        return bool(self.events or self.presets or self.files)

    @property
    def by_port(self) -> bool:
        """Whether processes are chosen by their ports or executables."""
        named = self.open_port is not None or self.exe or self.beyla_config
        return self.attach or bool(named)

    @property
    def live(self) -> bool:
        """Whether the traffic of processes is wanted."""
        return self.attach or bool(self.pids)

    def asked_subscriptions(self) -> tuple[Subscriptions, frozenset[str]]:
        """The kernel events named, or the default; and the names of threads not wanted.

        Raises:
            UsageError: some of it means nothing.
        """
        from tui.cli.events import asked_subscriptions

        return asked_subscriptions(self.events, self.presets, self.files, faithful=self.faithful)

    def discovery_config(self, loaded: LoadedSettings) -> DiscoveryConfig:
        """As the function of that name."""
        return discovery_config(loaded, self.exe, self.beyla_config, self.faithful, self.inherit)


def source_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that choose sources; the command gets them as `choice`, a SourceChoice."""

    @functools.wraps(command)
    def with_choice(*arguments: object, **options: Any) -> int:
        chosen = {field.name: options.pop(field.name) for field in fields(SourceChoice)}
        return command(*arguments, choice=SourceChoice(**chosen), **options)

    for option in reversed(_SOURCE_OPTIONS):
        with_choice = option(with_choice)
    return with_choice


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
