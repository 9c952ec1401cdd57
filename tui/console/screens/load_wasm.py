"""The dialog that loads a Wasm plugin."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from tui.console.paths import problem_with_file
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import PathEntry

LoadWasm = Callable[[Path], str]
"""Loads a Wasm plugin; returns its name."""


class LoadWasmDialog(Dialog[str]):
    """Asks for a path; gives the name of the plugin that was loaded."""

    hint = "{path.complete} completes · {dialog.accept} loads · {dialog.cancel} cancels"

    def __init__(self, load: LoadWasm) -> None:
        super().__init__(
            "Load a Wasm plugin",
            "It is put at the end of the chain, and checked as a DeepFlow agent checks it.",
            (PathEntry("path", "Path", hint="/path/to/plugin.wasm", suffix=".wasm"),),
            accept="Load",
        )
        self._load = load

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Look whether there is such a file."""
        problem = problem_with_file(values["path"])
        return {"path": problem} if problem else {}

    def act(self, values: Mapping[str, str]) -> str:
        """Load it."""
        return self._load(Path(values["path"].strip()).expanduser())
