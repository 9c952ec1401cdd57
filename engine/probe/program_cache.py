"""Compiled programs kept between runs, because compiling them takes seconds.

One file per text, compiler and kernel, in `$XDG_CACHE_HOME/boxscope` (`~/.cache/boxscope`). What
is read from it goes into the kernel, so it is only trusted if nobody else can have written it.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

KEPT = 4
"""Files of other texts and kernels that stay; a box with several kernels has use for them."""
_SUFFIX = ".bpf"
_DIGEST_LENGTH = 32
_LARGEST = 16 << 20
_ONLY_OURS = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def key_of(parts: Iterable[bytes]) -> str:
    """Names what was compiled, out of everything that the result depends on."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


class ProgramCache:
    """Files of compiled programs by key; a cache that does not work is no error.

    Args:
        directory: Where they lie; None keeps nothing.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def get(self, key: str) -> bytes | None:
        """What was put under the key; None if there is nothing that can be trusted."""
        if self._directory is None or not _is_ours(self._directory):
            return None
        try:
            opened = os.open(
                self._directory / (key + _SUFFIX), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except OSError:
            return None
        with os.fdopen(opened, "rb") as file:
            if not _trusted(os.fstat(opened), stat.S_IFREG):
                return None
            content = file.read(_LARGEST)
        # The key is in the digest: a file that was renamed is not taken for another.
        if content[:_DIGEST_LENGTH] != _digest(key, content[_DIGEST_LENGTH:]):
            return None
        return content[_DIGEST_LENGTH:]

    def put(self, key: str, text: bytes) -> None:
        """Keep it, and forget the oldest others."""
        directory = self._directory
        if directory is None:
            return
        with suppress(OSError):
            directory.mkdir(mode=_ONLY_OURS, parents=True, exist_ok=True)
            if not _is_ours(directory):
                return
            # Another boxscope reads a whole file or none.
            with tempfile.TemporaryDirectory(dir=directory) as scratch:
                written = Path(scratch, key)
                written.write_bytes(_digest(key, text) + text)
                written.replace(directory / (key + _SUFFIX))
            files = sorted(directory.glob("*" + _SUFFIX), key=lambda one: one.stat().st_mtime)
            for old in files[:-KEPT]:
                old.unlink()


def _digest(key: str, text: bytes) -> bytes:
    return hashlib.sha256(key.encode() + text).digest()


def _is_ours(directory: Path) -> bool:
    try:
        return _trusted(directory.lstat(), stat.S_IFDIR)
    except OSError:
        return False


def _trusted(found: os.stat_result, kind: int) -> bool:
    """Whether it is of that kind, belongs to us, and nobody else may write it."""
    return (
        stat.S_IFMT(found.st_mode) == kind
        and found.st_uid == os.geteuid()
        and not found.st_mode & _OTHERS_WRITE
    )
