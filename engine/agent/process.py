"""One plugin process: started the way the Elkeid agent starts it, and taken down again.

What the plugin sees: an argument list of one element, fd 0 and 1 the null device, fd 2 its
stderr file, fd 3 the read end of the task pipe, fd 4 the write end of the record pipe, nothing
else open, its own process group, its working directory, and, if it was given a detail, an
environment of `DETAIL` alone. The keeper of a module differs in having arguments.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import signal
import stat
import struct
import termios
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from engine.agent.spawn import spawn
from engine.core.errors import RAISE_THE_LIMIT, TOO_MANY_FILES, PluginError
from engine.core.sanitise import clean

_INT = struct.Struct("i")


@dataclass(slots=True)
class PluginProcess:
    """A started plugin and this side of what connects it; -1 marks what is closed.

    Both pipe ends are non-blocking here; the plugin's are not.
    """

    pid: int
    pidfd: int
    task_fd: int
    record_fd: int
    stderr_fd: int

    def close_tasks(self) -> None:
        """Close the task pipe: the plugin reads end of file and should exit."""
        if self.task_fd >= 0:
            os.close(self.task_fd)
            self.task_fd = -1

    def close_records(self) -> None:
        """Close the record pipe."""
        if self.record_fd >= 0:
            os.close(self.record_fd)
            self.record_fd = -1

    def resize_records(self, size: int) -> None:
        """Give the record pipe another capacity, if the kernel allows it."""
        if self.record_fd >= 0:
            _enlarge(self.record_fd, size)

    def unread(self) -> int:
        """Bytes that wait in the record pipe."""
        if self.record_fd < 0:
            return 0
        (count,) = _INT.unpack(fcntl.ioctl(self.record_fd, termios.FIONREAD, bytes(_INT.size)))
        return int(count)

    def crowded(self, fresh: int) -> bool:
        """Whether a read of so many bytes shows that the plugin fills the record pipe.

        Its capacity may be far from the one that was asked for: the plugin can change it, and
        the kernel gives users beyond their quota a page or two. A pipe in packet mode (`O_DIRECT`)
        gives one packet a read, and is full of small ones when it holds few bytes.
        """
        capacity = fcntl.fcntl(self.record_fd, fcntl.F_GETPIPE_SZ)
        return fresh * 2 >= capacity or (fresh <= select.PIPE_BUF and self.unread() >= fresh)

    def kill_group(self) -> None:
        """SIGKILL to the plugin's process group; only before `reap`, which frees the number.

        And to the plugin itself, which may have gone into another group.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)

    def wait(self, timeout_s: float) -> None:
        """Wait until the process has ended, at most that long."""
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.poll(timeout_s * 1000)

    def reap(self) -> int | None:
        """Collect the exit status of a process that has ended.

        Returns:
            The exit code; a signal's number as a negative one; None if it is not known,
            because the process still runs or somebody else has collected it.
        """
        try:
            result = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        finally:
            os.close(self.pidfd)
            self.pidfd = -1
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def close(self) -> None:
        """Close everything but the pidfd, which `reap` closes."""
        self.close_tasks()
        self.close_records()
        if self.stderr_fd >= 0:
            os.close(self.stderr_fd)
            self.stderr_fd = -1


def start_process(
    executable: Path,
    *,
    name: str,
    directory: Path,
    detail: str,
    pipe_bytes: int,
    inherit_env: bool = False,
    arguments: Sequence[str] = (),
) -> PluginProcess:
    """Start one plugin.

    Args:
        executable: Absolute path; run where it lies.
        name: Names the stderr file.
        directory: Working directory; made if it is missing.
        detail: If not empty, the plugin's environment is `DETAIL=<detail>` and nothing else.
        pipe_bytes: Wanted capacity of the record pipe; the kernel may refuse it.
        inherit_env: Add the detail to this process's environment instead.
        arguments: What follows the executable in its argument list; an agent gives nothing.

    Raises:
        PluginError: the message names what is wrong with the executable.
        RequirementError: the C library is too old to start plugins.
    """
    with ExitStack() as ours, ExitStack() as theirs:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            null = _held(theirs, os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC))
            stderr = _held(ours, _open_stderr(directory / f"{name}.stderr"))
            task_read, task_write = _pipe(reader=theirs, writer=ours)
            record_read, record_write = _pipe(reader=ours, writer=theirs)
            os.set_blocking(task_write, False)
            os.set_blocking(record_read, False)
            _enlarge(record_read, pipe_bytes)
            fds = {0: null, 1: null, 2: stderr, 3: task_read, 4: record_write}
            environment = _environment(detail, directory, inherit_env)
            pid = spawn(executable, directory, environment, fds, arguments)
            pidfd = _open_pidfd(pid)
        except OSError as error:
            raise _explained(executable, error) from error
        ours.pop_all()
    return PluginProcess(pid, pidfd, task_write, record_read, stderr)


def _held(owner: ExitStack, descriptor: int) -> int:
    owner.callback(os.close, descriptor)
    return descriptor


def _pipe(*, reader: ExitStack, writer: ExitStack) -> tuple[int, int]:
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    return _held(reader, read_end), _held(writer, write_end)


def _open_pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _open_stderr(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o600)


def _environment(detail: str, directory: Path, inherit: bool) -> dict[bytes, bytes]:
    given = {b"DETAIL": os.fsencode(detail)} if detail else {}
    if given and not inherit:
        return given
    return {**os.environb, b"PWD": os.fsencode(directory), **given}


def _enlarge(pipe: int, size: int) -> None:
    # Users without privilege have a quota of pipe pages; a pipe of default size is only slower.
    with suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, size)


def _explained(executable: Path, error: OSError) -> PluginError:
    """What went wrong, in words about the file that was to be started."""
    shown = clean(str(executable))
    if error.errno in TOO_MANY_FILES:
        return PluginError(f"cannot start {shown}: {error.strerror}", fix=RAISE_THE_LIMIT)
    if error.filename is not None:
        place = clean(os.fspath(error.filename))
        return PluginError(f"cannot start {shown}: {place}: {error.strerror}")
    try:
        mode = executable.stat().st_mode
    except OSError as unreachable:
        return PluginError(
            f"cannot start {shown}: {unreachable.strerror}",
            fix="give the path of an executable file",
        )
    if not stat.S_ISREG(mode):
        return PluginError(
            f"cannot start {shown}: not a file", fix="give the path of an executable file"
        )
    if error.errno == errno.EACCES and not mode & 0o111:
        return PluginError(
            f"cannot start {shown}: permission denied, it is not executable",
            fix=f"chmod +x {shown}",
        )
    return _not_executed(executable, error)


def _not_executed(executable: Path, error: OSError) -> PluginError:
    shown = clean(str(executable))
    if error.errno == errno.ENOEXEC:
        return PluginError(
            f"cannot start {shown}: exec format error",
            fix="a script needs a first line such as #!/usr/bin/env python3; "
            "a program must be built for this machine",
        )
    if error.errno == errno.ENOENT:
        interpreter = _interpreter(executable)
        return PluginError(
            f"cannot start {shown}: its interpreter {interpreter} does not exist",
            fix=f"install {interpreter}, or have the file name another one",
        )
    return PluginError(f"cannot start {shown}: {error.strerror}")


def _interpreter(executable: Path) -> str:
    """What the kernel was to run the file with: a script's first line, or a program's loader."""
    try:
        with executable.open("rb") as opened:
            first_line = opened.read(256).split(b"\n")[0]
    except OSError:
        first_line = b""
    if first_line.startswith(b"#!"):
        return clean(first_line[2:].split()[0]) if first_line[2:].split() else "(none named)"
    return "(the dynamic loader)"
