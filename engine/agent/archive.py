"""Unpack a plugin's tar.gz: regular files and directories, and nothing outside."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from engine.core.errors import PluginError
from engine.core.sanitise import clean

MAX_MEMBERS = 20_000
MAX_BYTES = 2 * 1024 * 1024 * 1024
"""Of all files together, unpacked."""


def unpack(archive: Path, into: Path, *, max_bytes: int = MAX_BYTES) -> None:
    """Unpack a tar.gz into an empty directory of the caller's.

    Files keep the archive's permission bits, without set-user-id and the like; directories get
    0755.

    Raises:
        PluginError: it is no tar.gz, or holds what a plugin has no need of: links, devices,
            sparse files, absolute names, `..`. What was unpacked before that is left behind.
    """
    try:
        with tarfile.open(archive, "r:gz") as opened:
            left = max_bytes
            for number, member in enumerate(opened):
                if number >= MAX_MEMBERS:
                    raise _refused(f"holds more than {MAX_MEMBERS} files")
                left -= member.size if member.isreg() else 0
                if left < 0:
                    raise _refused(f"holds more than {max_bytes} bytes unpacked")
                _unpack_member(opened, member, into)
    except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
        raise _refused(f"is not a whole tar.gz: {clean(str(error), 200)}") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise PluginError(f"cannot unpack the archive: {clean(reason, 200)}") from error


def _unpack_member(opened: tarfile.TarFile, member: tarfile.TarInfo, into: Path) -> None:
    name = PurePosixPath(member.name)
    shown = clean(member.name, 200)
    if name.is_absolute() or ".." in name.parts or "\0" in member.name:
        raise _refused(f"holds {shown!r}, which leads out of its directory")
    if not (member.isdir() or (member.isreg() and not member.issparse())):
        raise _refused(f"holds {shown!r}, which is neither a regular file nor a directory")
    target = into.joinpath(*name.parts)
    (target if member.isdir() else target.parent).mkdir(mode=0o755, parents=True, exist_ok=True)
    if member.isdir():
        return
    source = opened.extractfile(member)
    if source is None:
        raise _refused(f"holds {shown!r}, which has no content")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with source, os.fdopen(os.open(target, flags, 0o600), "wb") as file:
        shutil.copyfileobj(source, file)
        os.fchmod(file.fileno(), member.mode & 0o777)


def move_over(tree: Path, directory: Path) -> None:
    """Move the content of `tree` into `directory`; what is there already and not in it stays.

    Raises:
        PluginError: something there is in the way: a link, or a directory where a file goes.
    """
    for entry in sorted(tree.iterdir()):
        target = directory / entry.name
        try:
            if entry.is_dir():
                if not os.path.lexists(target):
                    target.mkdir(mode=0o755)
                if not stat.S_ISDIR(target.lstat().st_mode):
                    raise NotADirectoryError(0, "Not a directory", str(target))
                move_over(entry, target)
            else:
                entry.replace(target)
        except OSError as error:
            raise PluginError(
                f"cannot put {clean(str(target), 200)} in its place: {error.strerror}",
                fix="remove what is in the way",
            ) from error


def _refused(why: str) -> PluginError:
    return PluginError(f"the archive is refused: it {why}")
