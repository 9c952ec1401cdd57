"""What was asked of an engine, as a recording tells it beside the records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from engine import __version__
from engine.core.fields import JsonValue

if TYPE_CHECKING:
    from engine.core.settings import Settings
    from engine.probe.filters import Filters
    from engine.selection import Selection


def context_of(
    selection: Selection, settings: Settings, filters: Filters | None, attached: frozenset[int]
) -> Mapping[str, JsonValue]:
    """What runs, on what, and what is let through; the switches are in the table `subscription`.

    Args:
        selection: Which sources run.
        settings: The settings in force.
        filters: Which kernel events are let through now.
        attached: The processes whose traffic is captured now.
    """
    return {
        "boxscope": __version__,
        "settings": settings.model_dump(mode="json"),
        "sources": [name for name, runs in _sources(selection).items() if runs],
        "subscribed_first": [
            ":".join(part for part in pair if part) for pair in selection.subscriptions
        ],
        "event_filters": _plain(asdict(filters)) if filters is not None else None,
        "exe": selection.exe,
        "plugins": [str(request.executable) for request in selection.plugins],
        "modules": [str(request.wanted.file) for request in selection.modules or ()],
        "capture": str(selection.capture) if selection.capture is not None else None,
        "wasm": [str(path) for path in selection.wasm],
        "attached": sorted(attached),
    }


def _sources(selection: Selection) -> Mapping[str, bool]:
    return {
        "agent": selection.agent,
        "modules": selection.modules is not None,
        "discovery": selection.discovers,
        "probe": selection.probe,
        "traffic": selection.reads_traffic,
        "wasm": selection.reads_traffic or bool(selection.wasm),
    }


def _plain(values: Mapping[str, object]) -> dict[str, JsonValue]:
    """Sets as sorted lists, everything else as it is."""
    plain: dict[str, JsonValue] = {}
    for name, value in values.items():
        match value:
            case frozenset() | set():
                plain[name] = sorted(map(str, value))
            case bool() | int() | float() | str() | None:
                plain[name] = value
    return plain
