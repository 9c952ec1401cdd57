"""What a pushed plugin list changes: decided first, so that it can be shown, then done.

The agent's order: every plugin on the list is loaded, then every known one that is not on the
list is shut down and its working directory deleted. One after the other; there is no way back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from engine.agent.config import ARCHIVE, PluginConfig
from engine.agent.install import check_config, is_installed
from engine.agent.plugin import check_name
from engine.core.errors import BoxscopeError
from engine.core.sanitise import clean

Action = Literal["load", "keep", "replace", "restart", "remove"]


class KnownPlugin(NamedTuple):
    """A plugin the list meets."""

    version: str
    alive: bool


@dataclass(frozen=True, slots=True)
class SyncStep:
    """What happens, or has happened, to one plugin."""

    plugin: str
    action: Action
    version: str = ""
    was_version: str = ""
    deletes: str = ""
    """The directory that goes with it."""
    note: str = ""
    error: str = ""
    """Why it cannot be done; empty if it can or was."""


class SyncHost(Protocol):
    """Who carries a list out."""

    def load_config(self, config: PluginConfig) -> bool:
        """Load one plugin; False if it runs already in that version."""

    def remove(self, name: str) -> None:
        """Shut a plugin down and delete its directory; returns when it is gone."""


def plan_sync(
    known: Mapping[str, KnownPlugin], configs: Sequence[PluginConfig], plugins_dir: Path
) -> tuple[SyncStep, ...]:
    """What a list would do.

    Args:
        known: The plugins there are.
        configs: The list.
        plugins_dir: Where working directories are.
    """
    wanted = {config.name for config in configs}
    loads = [_plan_load(known.get(config.name), config, plugins_dir) for config in configs]
    removals = [
        SyncStep(
            name,
            "remove",
            was_version=clean(plugin.version, 80),
            deletes=clean(str(plugins_dir / name)),
        )
        for name, plugin in known.items()
        if name not in wanted
    ]
    return (*loads, *removals)


def _plan_load(known: KnownPlugin | None, config: PluginConfig, plugins_dir: Path) -> SyncStep:
    action: Action = "load"
    note = error = ""
    if known is not None:
        action = "replace" if known.alive else "restart"
    if known is not None and known.alive and known.version == config.version:
        action, note = "keep", "the same version runs; a changed digest or detail changes nothing"
    else:
        try:
            check_name(config.name)
            check_config(config)
            note, error = _source(config, plugins_dir / config.name)
        except BoxscopeError as refused:
            error = str(refused)
    return SyncStep(
        clean(config.name, 80),
        action,
        version=clean(config.version, 80),
        was_version=clean(known.version, 80) if known else "",
        note=note,
        error=error,
    )


def _source(config: PluginConfig, directory: Path) -> tuple[str, str]:
    """Where its executable will come from, and what stands against that."""
    if is_installed(config, directory):
        return "the executable is there and verified", ""
    if not config.download_urls:
        return "", "no verified executable is there, and there are no download_urls"
    kind = "an archive" if config.type == ARCHIVE else "an executable"
    return f"downloads {kind} from {clean(config.download_urls[0], 200)}", ""


def apply_sync(
    host: SyncHost, steps: Sequence[SyncStep], configs: Sequence[PluginConfig]
) -> tuple[SyncStep, ...]:
    """Carry a plan out; a step that fails does not stop the others.

    Args:
        host: Who does it.
        steps: What `plan_sync` made of `configs`: one step for each, then the removals.
        configs: The list.

    Returns:
        The steps with what became of them.
    """
    pairs = zip_longest(steps, configs)
    return tuple(_apply(host, step, config) for step, config in pairs if step is not None)


def _apply(host: SyncHost, step: SyncStep, config: PluginConfig | None) -> SyncStep:
    error = ""
    try:
        if config is not None:
            host.load_config(config)
        else:
            host.remove(step.plugin)
    except BoxscopeError as failed:
        error = str(failed)
    return replace(step, error=error)
