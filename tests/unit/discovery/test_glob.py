"""Globs in the dialect of Beyla's criteria."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.glob import Glob

DATA: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "globs.json").read_text())


@pytest.mark.parametrize("vector", DATA["valid"], ids=lambda vector: vector["glob"])
def test_vector(vector: dict[str, Any]) -> None:
    glob = Glob.parse(vector["glob"])
    assert [text for text in vector["matches"] if not glob.matches(text)] == []
    assert [text for text in vector["misses"] if glob.matches(text)] == []


@pytest.mark.parametrize("text", DATA["invalid"])
def test_a_malformed_class_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="invalid glob"):
        Glob.parse(text)


@pytest.mark.fuzz("globs and expressions")
@given(st.text(alphabet="ab*?[]{}!-,\\^/", max_size=12), st.text(alphabet="ab/-,", max_size=6))
def test_any_text_is_compiled_or_refused(glob: str, text: str) -> None:
    try:
        compiled = Glob.parse(glob)
    except UsageError:
        assert "[" in glob
    else:
        assert compiled.matches(text) in (True, False)


@given(st.text(alphabet="ab./+($", max_size=10))
def test_text_without_special_characters_matches_itself_alone(text: str) -> None:
    assert Glob.parse(text).matches(text)
    assert not Glob.parse(text).matches(text + "x")


@pytest.mark.parametrize(
    ("glob", "alternatives"),
    [
        ("a", ("a",)),
        ("{go, java}", ("go", " java")),
        ("x{a,b{c,d}}y", ("xay", "xbcy", "xbdy")),
        ("{a,b}{c,}", ("ac", "a", "bc", "b")),
        ("{a,b", ("a", "b")),
        (r"\{a,b}", (r"\{a,b}",)),
        ("[{,}]", ("[{,}]",)),
        ("{" * 60, ()),
    ],
)
def test_alternatives_are_written_out(glob: str, alternatives: tuple[str, ...]) -> None:
    assert Glob.parse(glob).alternatives() == alternatives


@given(st.text(alphabet="ab{},*", max_size=10), st.text(alphabet="ab,", max_size=5))
def test_a_glob_matches_what_one_of_its_alternatives_matches(glob: str, text: str) -> None:
    alternatives = Glob.parse(glob).alternatives()
    if "}" not in "".join(alternatives) and len(alternatives) < 256:
        some = any(Glob.parse(each).matches(text) for each in alternatives if "," not in each)
        if not any("," in each for each in alternatives):
            assert Glob.parse(glob).matches(text) is some


def test_no_glob_takes_for_ever() -> None:
    glob = Glob.parse("*a" * 300 + "*")
    assert glob.matches("a" * 300)
    assert not glob.matches(("a" * 20 + "/") * 14)


def test_a_path_that_is_no_utf_8_is_matched() -> None:
    assert Glob.parse("/x?y").matches("/x\udc80y")


def test_a_glob_too_large_is_refused() -> None:
    with pytest.raises(UsageError, match="invalid glob"):
        Glob.parse("{a,b}?*" * 100_000)
