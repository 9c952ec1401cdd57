"""Regular expressions that end in time."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from engine.core.filters.patterns import Pattern

_TRIES_FOR_EVER = ["(a+)+$", "(a|a)*c", "(a|aa)+$", "a*a*a*a*a*a*a*a*a*a*c", "(.*)*=$"]


@pytest.mark.parametrize("text", _TRIES_FOR_EVER)
def test_no_pattern_stops_the_program(text: str) -> None:
    """Each is hopeless with a search that goes back: 2 to the 20,000th power of steps, or so."""
    script = (
        "from engine.core.filters.patterns import Pattern; import sys;"
        "print(Pattern(sys.argv[1]).found_in('a' * 20_000 + 'b'))"
    )
    command = [sys.executable, "-c", script, text]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ended = subprocess.run(
        command, env=environment, timeout=60, check=True, capture_output=True, text=True
    )
    assert (ended.stdout, ended.stderr) == ("False\n", "")


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("^10\\.", "10.0.0.1"),
        ("GET.*users", "GET /users"),
        ("(?i)NGINX", "nginx"),
        ("^(é|ü)$", "é"),
        ("", ""),
        ("a", "\x00a"),
        ("b$", "\ud800b"),
        ("(a?){300}b", "a" * 300 + "b"),
    ],
)
def test_it_is_found_anywhere(pattern: str, text: str) -> None:
    assert Pattern(pattern).found_in(text)
    assert not Pattern(pattern).found_in("zzz") or not pattern


@pytest.mark.parametrize(
    "pattern",
    ["(", "[z-a]", "*", "(?=a)", "\\1", "a{2000}", "(a{1000}){1000}", "\ud800", "x" * 5000],
)
def test_one_that_is_none_is_refused_in_words(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"[a-z]{3}"):
        Pattern(pattern)


def test_one_that_is_wrong_says_so_to_the_caller_alone(capfd: pytest.CaptureFixture[str]) -> None:
    """The library would write to stderr, which is the console's screen."""
    with pytest.raises(ValueError, match="missing"):
        Pattern("(")
    assert capfd.readouterr() == ("", "")
