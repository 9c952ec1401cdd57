"""Writing a workspace: the TOML of it, into a file that is whole or not there."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import FailedError, UsageError
from engine.core.sanitise import clean
from engine.workspace import Workspace, read_workspace

_HEAD = """\
# A workspace of boxscope: boxscope --workspace FILE
# Saving it again from the console replaces the whole file, comments as well.
"""


def write_workspace(workspace: Workspace, path: Path) -> None:
    """Write a workspace into a file that only its owner can read.

    Raises:
        UsageError: there is a file of that name that is no workspace, or a path in the
            workspace cannot be written down.
        FailedError: the file cannot be written.
    """
    path = path.absolute()
    if path.exists() or path.is_symlink():
        try:
            read_workspace(path)
        except UsageError as error:
            raise UsageError(
                f"{clean(str(path))} is there and no workspace of this boxscope",
                fix="give another name",
            ) from error
    text = to_toml(workspace, path.parent)
    try:
        _replace(path.resolve(), text)
    except OSError as error:
        raise FailedError(
            f"cannot write {clean(str(path))}: {error.strerror}", fix="give another path"
        ) from error


def _replace(path: Path, text: str) -> None:
    """Put a whole file in the place of another; `mkstemp` makes it readable to its owner only."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def to_toml(workspace: Workspace, folder: Path) -> str:
    """A workspace as TOML.

    Args:
        workspace: The workspace.
        folder: Where the file will be; paths below it are written relative to it.

    Raises:
        UsageError: a path is no text.
    """
    said = workspace.model_dump(mode="python", exclude_defaults=True)
    plain = {name: value for name, value in said.items() if not _is_table(value)}
    lines = [_HEAD, *_pairs(plain, folder)]
    for name, value in said.items():
        if isinstance(value, dict):
            lines += ["", f"[{name}]", *_pairs(value, folder)]
        elif _is_table(value):
            for part in value:
                lines += ["", f"[[{name}]]", *_pairs(part, folder)]
    return "\n".join(lines) + "\n"


def _is_table(value: object) -> bool:
    if isinstance(value, tuple):
        return bool(value) and isinstance(value[0], dict)
    return isinstance(value, dict)


def _pairs(table: dict[str, object], folder: Path) -> Iterator[str]:
    for name, value in table.items():
        key = name if name.replace("-", "_").isidentifier() and name.isascii() else _text(name)
        yield f"{key} = {_value(value, folder)}"


def _value(value: object, folder: Path) -> str:
    match value:
        case Path():
            return _text(_relative(value, folder))
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case tuple() if len(value) > 1:
            items = "".join(f"    {_value(each, folder)},\n" for each in value)
            return f"[\n{items}]"
        case tuple():
            return f"[{', '.join(_value(each, folder) for each in value)}]"
        case _:
            return _text(str(value))


def _relative(path: Path, folder: Path) -> str:
    shown = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
    # `~` at the beginning would be taken for a home directory; a file may be called so.
    return str(path) if shown.startswith("~") else shown


def _text(text: str) -> str:
    """A basic string: TOML's escapes are JSON's, but for DEL, which JSON leaves as it is."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{clean(text)} is not UTF-8, so it cannot stand in a workspace", fix="rename the file"
        ) from error
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
