"""Bytes as one edits them: what is read, and what is wrong with what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui.console.screens.rerun import read_cuts
from tui.console.widgets.hexarea import HexFault, hex_of, read_hex


@given(st.binary(max_size=100))
def test_what_is_shown_is_read_back(content: bytes) -> None:
    assert read_hex(hex_of(content)) == content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("", b""),
        ("  \n ", b""),
        ("474554", b"GET"),
        ("47:45:54", b"GET"),
        ("0x47, 0x45,\n0X54", b"GET"),
        ("4745 54", b"GET"),
        ("aB Cd", b"\xab\xcd"),
    ],
)
def test_spaces_colons_commas_and_prefixes_are_free(text: str, content: bytes) -> None:
    assert read_hex(text) == content


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("47 4g", "line 1, column 5: 'g' is no hex digit"),
        ("47\n 0x5", "line 2, column 4: '0x5' lacks a digit: a byte has two"),
        ("47 4 5", "line 1, column 4: '4' lacks a digit: a byte has two"),
        ("0x", "line 1, column 3: '0x' lacks a digit: a byte has two"),
        ("47\x1b", "line 1, column 3: '␛' is no hex digit"),
        ("٤٧", "line 1, column 1: '٤' is no hex digit"),
    ],
)
def test_what_is_no_hex_is_named_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(HexFault) as caught:
        read_hex(text)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    ("text", "cuts"), [("", []), (" ", []), ("10", [10]), ("0, 5 28", [0, 5, 28]), ("5,5", [5, 5])]
)
def test_cut_points_are_lengths(text: str, cuts: list[int]) -> None:
    assert read_cuts(text, 28) == cuts


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("10, x", "'x' is no length"),
        ("-1", "'-1' is no length"),
        ("1.5", "'1.5' is no length"),
        ("29", "29 is more than the 28 bytes there are"),
        ("9" * 5_000, "is more than the 28 bytes there are"),
        (" ".join(["1"] * 51), "51 lengths; 50 at most"),
    ],
)
def test_what_cannot_be_cut_to_is_named(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_cuts(text, 28)
