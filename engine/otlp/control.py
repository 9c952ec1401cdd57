"""The export of an engine, made only where one is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.core.settings import Settings
    from engine.core.source import Logbook
    from engine.otlp.export import OtlpExport
    from engine.recording.beginning import Recorded


def export_of(source: Recorded, settings: Settings, log: Logbook) -> OtlpExport | None:
    """What exports an engine's records; None where nothing is exported, and nothing is loaded.

    Args:
        source: The engine.
        settings: The settings in force.
        log: The engine's log.

    Raises:
        UsageError: a setting of the export means nothing.
    """
    if not settings.otlp:
        return None
    from engine.otlp.export import OtlpExport
    from engine.otlp.options import read_options

    options = read_options(settings)
    return OtlpExport(source, options, log) if options is not None else None
