"""`--workspace FILE` of the verbs that open the console."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from engine.workspace import OpenedWorkspace

workspace_option = click.option(
    "--workspace",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Subscriptions, plugins, filters and the like, as the console has saved them.",
)


def open_workspace(
    path: Path | None, *, open_port: str | None = None, beyla_config: Path | None = None
) -> OpenedWorkspace:
    """The workspace of a file, or one that says nothing, with what flags say instead.

    Raises:
        UsageError: the file cannot be read, or something in it means nothing.
    """
    from engine.workspace import OpenedWorkspace, read_workspace

    opened = read_workspace(path) if path is not None else OpenedWorkspace()
    flags: dict[str, object] = {}
    if open_port is not None:
        flags["ports"] = open_port
    if beyla_config is not None:
        flags["beyla_config"] = beyla_config.absolute()
    return OpenedWorkspace(opened.workspace.model_copy(update=flags), opened.path)
