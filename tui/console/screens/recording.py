"""The dialogs that begin a recording and write out what the engine remembers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from engine.core.errors import UsageError
from engine.core.snapshot import RecordingFacts
from engine.recording.options import (
    RecordingOptions,
    keep_seconds,
    read_options,
    redacted_sorts,
    size_bytes,
)
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry, PathEntry

StartRecording = Callable[[Path, RecordingOptions], None]
DumpRecording = Callable[[Path, RecordingOptions], RecordingFacts]

_READ: Mapping[str, Callable[[str], object]] = {
    "keep": keep_seconds,
    "size": size_bytes,
    "redact": redacted_sorts,
}
"""What understands each field."""


def _redact_entry() -> Entry:
    return Entry(
        "redact",
        "Leave out",
        hint="nothing",
        about="payloads, arguments, or both: they are not in the file then",
    )


def _problems(values: Mapping[str, str]) -> Mapping[str, str]:
    """What is wrong with the fields, each by itself."""
    problems: dict[str, str] = {}
    if not values["path"].strip():
        problems["path"] = "a name for the file is needed"
    for name, read in _READ.items():
        try:
            read(values.get(name, ""))
        except UsageError as error:
            problems[name] = f"{error.message}: {error.fix}"
    return problems


def _path(values: Mapping[str, str]) -> Path:
    return Path(values["path"].strip()).expanduser()


class RecordingDialog(Dialog[Path]):
    """Asks for a file and its bounds; gives the file that is being written.

    Args:
        path: A name to begin with.
        start: Begins to record.
    """

    hint = "tab next · {dialog.accept} records · {dialog.cancel} cancels"

    def __init__(self, path: str, start: StartRecording) -> None:
        super().__init__(
            "Record",
            "Everything from now on, into a new file only you can read.",
            (
                PathEntry("path", "File", value=path, new=True),
                Entry("keep", "Keep", hint="everything", about="the last so many minutes, or 2h"),
                Entry("size", "Size", hint="no bound", about="at most, such as 500MB"),
                _redact_entry(),
            ),
            accept="Record",
        )
        self._start = start

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What means nothing."""
        return _problems(values)

    def act(self, values: Mapping[str, str]) -> Path:
        """Begin."""
        options = read_options(values["keep"], values["size"], redacted_sorts(values["redact"]))
        self._start(_path(values), options)
        return _path(values)


class DumpDialog(Dialog[RecordingFacts]):
    """Asks for a file; gives what was written into it.

    Args:
        path: A name to begin with.
        dump: Writes what the engine remembers.
    """

    hint = "tab next · {dialog.accept} writes · {dialog.cancel} cancels"

    def __init__(self, path: str, dump: DumpRecording) -> None:
        super().__init__(
            "Write out what is remembered",
            "Everything the engine still has in memory, into a new file only you can read.",
            (PathEntry("path", "File", value=path, new=True), _redact_entry()),
            accept="Write",
        )
        self._dump = dump

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What means nothing."""
        return _problems(values)

    def act(self, values: Mapping[str, str]) -> RecordingFacts:
        """Write it."""
        return self._dump(_path(values), RecordingOptions(redact=redacted_sorts(values["redact"])))
