"""Where an engine listens, who owns that place, and who is at the other end."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import AttachError, UsageError

SYSTEM_ADDRESS = Path("/run/boxscope/engine.sock")
"""Where an engine of root listens unless told otherwise."""

_CREDENTIALS = struct.Struct("iII")
_LONGEST = 107
"""Bytes of the longest path of a Unix socket (unix(7))."""
_BACKLOG = 16


class Peer(NamedTuple):
    """The process at the other end of a socket, as the kernel tells it (SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """Who is at the other end."""
    told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(told))


def own_address(environ: Mapping[str, str] = os.environ) -> Path:
    """Where an engine of this user listens unless told otherwise; in a directory of its own."""
    if os.geteuid() == 0:
        return SYSTEM_ADDRESS
    base = environ.get("XDG_RUNTIME_DIR") or str(Path.home() / ".cache" / "boxscope" / "run")
    return Path(base) / "boxscope" / SYSTEM_ADDRESS.name


def find_address(environ: Mapping[str, str] = os.environ) -> Path:
    """Where to look for an engine: this user's own, or else that of root."""
    own = own_address(environ)
    with contextlib.suppress(OSError):
        if not own.exists() and SYSTEM_ADDRESS.exists():
            return SYSTEM_ADDRESS
    return own


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to the engine that listens there.

    Raises:
        AttachError: none does, or it may not be reached.
    """
    _check_length(path)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        connection.connect(str(path))
    except OSError as refused:
        connection.close()
        raise _unreachable(path, refused) from refused
    return connection


def _unreachable(path: Path, refused: OSError) -> AttachError:
    if isinstance(refused, FileNotFoundError):
        return AttachError(f"no engine listens at {path}", fix="boxscope engine starts one")
    if isinstance(refused, ConnectionRefusedError):
        return AttachError(
            f"the engine that listened at {path} has ended", fix="boxscope engine starts one"
        )
    if isinstance(refused, PermissionError):
        return AttachError(
            f"the engine at {path} is not for this user",
            fix="ask its owner to start it with --group and a group of yours, or use sudo",
        )
    if isinstance(refused, TimeoutError | BlockingIOError):
        return AttachError(f"the engine at {path} does not answer", fix="look at its process")
    return AttachError(f"cannot reach an engine at {path}: {refused.strerror or refused}")


class Claim:
    """The place an engine listens at, from when it is claimed until it is given up.

    A lock beside the socket tells a living engine from what a dead one left.

    Args:
        path: Of the socket.
        group: Who may attach besides the owner, to look only; empty for nobody.

    Raises:
        AttachError: an engine listens there, or it cannot be done there.
        UsageError: the path or the group cannot be.
    """

    def __init__(self, path: Path, group: str = "") -> None:
        _check_length(path)
        self.path = path
        self.group = group
        """Who may attach besides the owner."""
        self._lock_path = path.with_name(f"{path.name}.lock")
        gid = _gid(group) if group else None
        try:
            _make_directory(path.parent, gid, own=path == own_address())
            self._lock = self._take_lock()
            try:
                self.socket = self._listen(gid)
            except BaseException:
                self._unlock()
                raise
        except OSError as refused:
            raise AttachError(
                f"cannot listen at {path}: {refused.strerror or refused}",
                fix="name another place with --socket",
            ) from refused
        self._inode = os.lstat(path).st_ino

    def release(self) -> None:
        """Listen no longer, and leave nothing behind; may be called twice."""
        if self.socket.fileno() < 0:
            return
        self.socket.close()
        with contextlib.suppress(OSError):
            if os.lstat(self.path).st_ino == self._inode:
                self.path.unlink()
        self._unlock()

    def _take_lock(self) -> int:
        while True:
            lock = os.open(
                self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
            )
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(lock).st_ino == _inode_of(self._lock_path):
                    return lock
            except BlockingIOError:
                os.close(lock)
                raise self._taken() from None
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)  # the one who had it has removed it meanwhile

    def _unlock(self) -> None:
        with contextlib.suppress(OSError):
            self._lock_path.unlink()
        os.close(self._lock)

    def _listen(self, gid: int | None) -> socket.socket:
        self._remove_stale()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listener.bind(str(self.path))
            # Nobody can connect before listen().
            if gid is not None:
                os.chown(self.path, -1, gid)
            self.path.chmod(0o600 if gid is None else 0o660)
            listener.listen(_BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def _remove_stale(self) -> None:
        try:
            mode = os.lstat(self.path).st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(mode):
            raise AttachError(f"{self.path} exists and is no socket", fix="name another place")
        if _listener_of(self.path) is not None:
            raise self._taken()
        self.path.unlink()

    def _taken(self) -> AttachError:
        pid = _listener_of(self.path)
        who = f"an engine, process {pid}," if pid else "an engine"
        return AttachError(
            f"{who} owns {self.path} already",
            fix="boxscope attach looks at it; --socket names another place",
        )


def _listener_of(path: Path) -> int | None:
    """Pid of the process that listens at a path; 0 if it is not known, None if nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except OSError as refused:
            return None if refused.errno in (errno.ECONNREFUSED, errno.ENOENT) else 0
        return peer_of(probe).pid


def _make_directory(directory: Path, gid: int | None, *, own: bool) -> None:
    """Have a directory; one of ours is for the owner alone, and may be passed by the group."""
    if directory.is_dir() and not own:
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory.stat().st_uid != os.geteuid():
        raise AttachError(
            f"{directory} belongs to another user", fix="name another place with --socket"
        )
    if gid is not None:
        os.chown(directory, -1, gid)
    directory.chmod(0o700 if gid is None else 0o710)


def _check_length(path: Path) -> None:
    if len(os.fsencode(path)) > _LONGEST:
        raise UsageError(
            f"the path of a socket has {_LONGEST} bytes at most, not {len(os.fsencode(path))}",
            fix="name a shorter one with --socket",
        )


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {group!r}", fix="getent group lists them") from None


def _inode_of(path: Path) -> int:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return -1
