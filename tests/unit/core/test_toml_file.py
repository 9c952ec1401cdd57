"""TOML files of people: bounded, and errors name the line a value begins on."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import UsageError
from engine.core.toml_file import MAX_BYTES, Place, line_of, parse_toml, read_text

TEXT = '''# file = "not this one"
version = 1
note = """
file = "nor this: it is within a text"
"""

[filters]
events = "pid == 1"
"quoted key" = 3

[[plugins]]
file = "one"
[[plugins]]
name = "b"
file = "two"
[a.b]
c = { d = 1,  e = [
  1,
  2,
] }
'''


@pytest.mark.parametrize(
    ("place", "line"),
    [
        (("version",), 2),
        (("note",), 3),
        (("filters",), 7),
        (("filters", "events"), 8),
        (("filters", "quoted key"), 9),
        (("plugins", 0, "file"), 12),
        (("plugins", 1), 13),
        (("plugins", 1, "file"), 15),
        (("a", "b", "c", "e", 1), 17),
        (("plugins", 0, "name"), 11),
        (("nowhere",), 0),
        ((), 0),
    ],
)
def test_the_line_of_a_value_or_of_what_is_around_it(place: Place, line: int) -> None:
    assert line_of(TEXT, place) == line


def test_what_is_no_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"not valid TOML: .*line 2"):
        parse_toml("a = 1\nb = \n", tmp_path / "x.toml")


def test_a_file_is_read_up_to_a_bound_and_as_text(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(UsageError, match="is longer than 256 KiB"):
        read_text(path)
    path.write_bytes(b'a = "\xff"')
    with pytest.raises(UsageError, match="not valid TOML"):
        read_text(path)
