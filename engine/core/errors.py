"""Every error the engine raises on purpose, in one tree.

BoxscopeError            anything below; `fix` says what to do, `exit_code` is the command's
  UsageError      (2)    what the user wrote is wrong (a name, a port list, a file's syntax)
  FailedError     (1)    the thing looked for failed or was refused
    PluginError          a plugin process could not be loaded, or broke its contract
    ProbeError           the kernel refused a program, a map or an attachment
    CaptureError         a capture or payload file cannot be read
    WasmError            a Wasm plugin was refused or trapped
    ModuleLoadError      an in-process module was refused or failed
      MalformedModule    its file contradicts itself, or is larger than is read
    RecordingError       a recording cannot be read or written
    AttachError          an engine cannot be attached to, or a console said what none says
    ProcessGone          the process ended while it was looked at
  RequirementError (3)   a right or a dependency is missing; `fix` is the line to type
"""

from __future__ import annotations

import errno

TOO_MANY_FILES = frozenset({errno.EMFILE, errno.ENFILE})
"""What a call fails with where no more files may be open."""
RAISE_THE_LIMIT = "raise the limit of open files, such as by ulimit -n 1024, and start again"


class BoxscopeError(Exception):
    """Base of all deliberate errors.

    Args:
        message: What happened, and to what.
        fix: What to do about it, as a sentence or a command line; may be empty.
    """

    exit_code = 1

    def __init__(self, message: str, *, fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.message} ({self.fix})" if self.fix else self.message


class UsageError(BoxscopeError):
    """The user's words are wrong: an unknown name, a bad range, a bad file."""

    exit_code = 2


class FailedError(BoxscopeError):
    """The thing asked for failed or was refused."""


class PluginError(FailedError):
    """A plugin process could not be loaded or broke its contract."""


class ProbeError(FailedError):
    """The kernel refused a program, a map or an attachment."""


class CaptureError(FailedError):
    """A capture or payload file cannot be read."""


class WasmError(FailedError):
    """A Wasm plugin was refused or trapped."""


class ModuleLoadError(FailedError):
    """An in-process module was refused or failed."""


class MalformedModule(ModuleLoadError):
    """A module's file contradicts itself, or what it announces is larger than is read."""


class RecordingError(FailedError):
    """A recording cannot be read or written."""


class AttachError(FailedError):
    """An engine cannot be attached to, refused it, or one of the two broke the protocol."""


class ProcessGone(FailedError):
    """The process ended while it was looked at."""


class RequirementError(BoxscopeError):
    """A right or a dependency is missing; `fix` is the line that provides it."""

    exit_code = 3
