"""The dialog that starts an executable as a plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.core.errors import BoxscopeError
from tui.console.paths import problem_with_file
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry, PathEntry

Load = Callable[[Path, str, str], str]
"""Starts an executable under a name, with a detail; returns the plugin's name."""


class LoadDialog(Dialog[str]):
    """Asks for a path, a name and a detail; gives the name of the plugin that was loaded."""

    hint = "{path.complete} completes, next · {dialog.accept} loads · {dialog.cancel} cancels"

    def __init__(self, load: Load) -> None:
        super().__init__(
            "Load a plugin",
            "Runs the file where it lies, as an Elkeid agent would run it.",
            (
                PathEntry("path", "Path", hint="/path/to/executable"),
                Entry(
                    "name",
                    "Name",
                    hint="the file's name without its suffix",
                    about="ASCII letters, digits, _ and -",
                ),
                Entry(
                    "detail",
                    "Detail",
                    hint="none",
                    about="if given, the plugin's whole environment is DETAIL=<this>",
                ),
            ),
            accept="Load",
        )
        self._load = load

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Look whether there is such a file, and whether the name can be one."""
        if problem := problem_with_file(values["path"]):
            return {"path": problem}
        # Imported here as the plugin host is only loaded once the engine starts.
        from engine.agent.plugin import check_name

        try:
            check_name(values["name"].strip() or Path(values["path"].strip()).stem)
        except BoxscopeError as error:
            return {"name": f"{error.message}: {error.fix}"}
        return {}

    def act(self, values: Mapping[str, str]) -> str:
        """Load it."""
        path = Path(values["path"].strip()).expanduser()
        return self._load(path, values["name"].strip(), values["detail"])
