"""posix_spawn(3) with everything an agent's plugin needs, safe in a process with threads.

`subprocess` cannot renumber file descriptors without running Python between fork and exec,
and `os.posix_spawn` can neither change the directory nor close what was inherited. The C
library's own posix_spawn does all of it between a vfork and an exec, and reports why an
exec failed.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from engine.core.errors import RequirementError

# Flags of posix_spawnattr_setflags, from <spawn.h>.
SETPGROUP, SETSIGDEF, SETSIGMASK = 0x02, 0x04, 0x08

# Room for the opaque C structs; the largest, posix_spawnattr_t, has 336 bytes in glibc.
_STRUCT_BYTES = 1024

_FUNCTIONS = (
    "posix_spawn",
    "posix_spawnattr_init",
    "posix_spawnattr_destroy",
    "posix_spawnattr_setflags",
    "posix_spawnattr_setpgroup",
    "posix_spawnattr_setsigdefault",
    "posix_spawnattr_setsigmask",
    "posix_spawn_file_actions_init",
    "posix_spawn_file_actions_destroy",
    "posix_spawn_file_actions_adddup2",
    "posix_spawn_file_actions_addchdir_np",
    "posix_spawn_file_actions_addclosefrom_np",
)


@cache
def _libc() -> ctypes.CDLL:
    library = ctypes.CDLL(None)
    missing = [name for name in _FUNCTIONS if not hasattr(library, name)]
    if missing:
        raise RequirementError(
            f"plugins cannot be started: this C library has no {missing[0]}",
            fix="run boxscope on a distribution with glibc 2.34 or newer (Debian 12, Ubuntu 22.04)",
        )
    return library


def require_spawn() -> None:
    """Check that the C library can start plugins.

    Raises:
        RequirementError: it cannot.
    """
    _libc()


def spawn(
    executable: Path,
    directory: Path,
    environment: Mapping[bytes, bytes],
    fds: Mapping[int, int],
    arguments: Sequence[str] = (),
) -> int:
    """Start `executable` as the leader of its own process group; returns its pid.

    No signal is blocked, ignored or handled, and it has no file descriptors but those named.

    Args:
        executable: Absolute path; the first element of its argument list.
        directory: Its working directory.
        environment: Its whole environment.
        fds: For each of its descriptors, from 0 without gaps, one of this process.
        arguments: The other elements of its argument list.

    Raises:
        OSError: as exec gave it: ENOENT, EACCES, ENOEXEC ...
        RequirementError: the C library is too old.
    """
    libc = _libc()
    actions = ctypes.create_string_buffer(_STRUCT_BYTES)
    attributes = ctypes.create_string_buffer(_STRUCT_BYTES)
    path = os.fsencode(executable)
    argv = _string_array((path, *map(os.fsencode, arguments)))
    environ = _string_array(tuple(b"%b=%b" % pair for pair in environment.items()))
    pid = ctypes.c_int()
    with _out_of_the_way(fds) as sources:
        try:
            _check(libc.posix_spawn_file_actions_init(actions))
            _check(libc.posix_spawnattr_init(attributes))
            _fill_actions(libc, actions, directory, sources)
            _fill_attributes(libc, attributes)
            _check(libc.posix_spawn(ctypes.byref(pid), path, actions, attributes, argv, environ))
        finally:
            libc.posix_spawn_file_actions_destroy(actions)
            libc.posix_spawnattr_destroy(attributes)
    return pid.value


@contextmanager
def _out_of_the_way(fds: Mapping[int, int]) -> Iterator[Mapping[int, int]]:
    """The descriptors again, above the numbers that are overwritten, or an early dup2 would
    destroy a later source."""
    moved: dict[int, int] = {}
    try:
        for target, source in fds.items():
            moved[target] = fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, len(fds))
        yield moved
    finally:
        for source in moved.values():
            os.close(source)


def _fill_actions(
    libc: ctypes.CDLL,
    actions: ctypes.Array[ctypes.c_char],
    directory: Path,
    sources: Mapping[int, int],
) -> None:
    for target, source in sources.items():
        _check(libc.posix_spawn_file_actions_adddup2(actions, source, target))
    _check(libc.posix_spawn_file_actions_addclosefrom_np(actions, len(sources)))
    _check(libc.posix_spawn_file_actions_addchdir_np(actions, os.fsencode(directory)))


def _fill_attributes(libc: ctypes.CDLL, attributes: ctypes.Array[ctypes.c_char]) -> None:
    none, every = (ctypes.create_string_buffer(byte * 128, 128) for byte in (b"\x00", b"\xff"))
    flags = ctypes.c_short(SETPGROUP | SETSIGDEF | SETSIGMASK)
    _check(libc.posix_spawnattr_setflags(attributes, flags))
    _check(libc.posix_spawnattr_setpgroup(attributes, 0))
    _check(libc.posix_spawnattr_setsigmask(attributes, none))
    _check(libc.posix_spawnattr_setsigdefault(attributes, every))


def _string_array(texts: tuple[bytes, ...]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(texts) + 1))(*texts, None)


def _check(error: int) -> None:
    if error:
        raise OSError(error, os.strerror(error))
