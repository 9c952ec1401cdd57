"""The dialog that saves a workspace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.workspace import Workspace
from engine.workspace_file import write_workspace
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import PathEntry


class WorkspaceDialog(Dialog[Path]):
    """Asks for a file and writes a workspace into it; gives the file.

    Args:
        path: A name to begin with.
        present: Tells what is to be saved.
    """

    hint = "{dialog.accept} saves · {dialog.cancel} cancels"

    def __init__(self, path: str, present: Callable[[], Workspace]) -> None:
        super().__init__(
            "Save the workspace",
            "Subscriptions, ports, plugins, modules, Wasm plugins, filters, the zoomed pane and "
            "the theme, into a file only you can read.",
            (PathEntry("path", "File", value=path, new=True),),
            accept="Save",
        )
        self._present = present

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is no name for a file."""
        text = values["path"].strip()
        if not text:
            return {"path": "a name for the file is needed"}
        try:
            path = Path(text).expanduser()
            if path.is_dir():
                return {"path": "this is a directory, not a file"}
            if not path.absolute().parent.is_dir():
                return {"path": f"there is no directory {path.parent}"}
        except (OSError, RuntimeError, ValueError) as error:
            return {"path": f"it cannot be looked at: {error}"}
        return {}

    def act(self, values: Mapping[str, str]) -> Path:
        """Write it."""
        path = Path(values["path"].strip()).expanduser()
        write_workspace(self._present(), path)
        return path
