"""Nothing a terminal obeys survives `clean`."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.sanitise import clean


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;owned\x07", "␛]0;owned␇"),
        ("a\nb\tc", "a␊b␉c"),
        ("\x7f", "␡"),
        ("\x9b31m", "\\x9b31m"),
        ("safe\u202egnp.exe", "safe\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("[/red] arg", "[/red] arg"),
        (b"caf\xc3\xa9", "café"),
        (b"\xff\xfe", "\\xff\\xfe"),
        (b"\xc3", "\\xc3"),
        ("\ud800", "\N{REPLACEMENT CHARACTER}"),
        ("plain text, ünïcode 漢字", "plain text, ünïcode 漢字"),
    ],
)
def test_hostile_text_becomes_visible(hostile: str | bytes, shown: str) -> None:
    assert clean(hostile) == shown


def test_long_text_is_cut_with_a_mark() -> None:
    assert clean("x" * 20, limit=10) == "x" * 9 + "…"
    assert clean("x" * 10, limit=10) == "x" * 10
    assert clean(b"\xc3\xa9" * 50, limit=10) == "é" * 9 + "…"


@pytest.mark.fuzz("text for display")
@given(st.one_of(st.text(), st.binary()))
def test_no_control_or_format_character_survives(text: str | bytes) -> None:
    result = clean(text)
    assert not [c for c in result if unicodedata.category(c) in ("Cc", "Cs")]
    assert not {"\u202a", "\u202e", "\u2066", "\u2069", "\u200f", "\ufeff"} & set(result)
    assert result.encode().decode() == result


@given(st.text())
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert clean(clean(text)) == clean(text)
