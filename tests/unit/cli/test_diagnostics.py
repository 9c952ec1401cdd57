"""What is said on stderr when the system refuses something, whatever the command."""

from __future__ import annotations

import errno
import os

import pytest

from tui.cli.diagnostics import report_refused


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [
        (errno.ENOSPC, "/run/a/file", "cannot write /run/a/file: No space left on device"),
        (errno.EMFILE, "/run/a/file", "Too many open files: /run/a/file"),
        (errno.EMFILE, None, "Too many open files"),
    ],
)
def test_it_is_told_what_was_refused_and_nothing_that_was_not(
    capsys: pytest.CaptureFixture[str], number: int, name: str | None, said: str
) -> None:
    assert report_refused(OSError(number, os.strerror(number), name)) == 1
    assert capsys.readouterr().err.splitlines()[0] == f"boxscope: {said}"


def test_what_nobody_expected_is_raised_again() -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/run/a/file")
    with pytest.raises(PermissionError) as raised:
        report_refused(refused)
    assert raised.value is refused
