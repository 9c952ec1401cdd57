"""The port enumeration: Beyla's grammar, meaning and messages."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.document import parse_document
from engine.discovery.ports import PortEnum, PortRange

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "port_enum.json").read_text()
)
YAML_VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "port_enum_yaml.json").read_text()
)
CASES = [
    pytest.param(vector, text, id=f"{vector['id']}: {text!r}")
    for vector in VECTORS
    for text in vector["inputs"]
]
GO_SPACE = set("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {
    chr(code) for code in range(0x2000, 0x200B)
}


@pytest.mark.parametrize(("vector", "text"), CASES)
def test_vector(vector: dict[str, Any], text: str) -> None:
    if vector.get("error"):
        with pytest.raises(UsageError, match=r"^invalid int enum "):
            PortEnum.parse(text)
        return
    parsed = PortEnum.parse(text)
    assert [list(entry) for entry in parsed.ranges] == vector["ranges"]
    assert str(parsed) == vector["text"]
    assert [port for port in vector["matches"] if not parsed.matches(port)] == []
    assert [port for port in vector["misses"] if parsed.matches(port)] == []


def test_the_error_names_the_text_and_the_form() -> None:
    with pytest.raises(UsageError) as caught:
        PortEnum.parse(" 80;90\t")
    assert caught.value.message == (
        'invalid int enum "80;90". Must be a comma-separated list of integers or ranges '
        "(e.g. 8000-8999)"
    )
    assert caught.value.exit_code == 2


def test_the_error_shows_control_characters_harmlessly() -> None:
    with pytest.raises(UsageError) as caught:
        PortEnum.parse("80\x1b[2J\u202e")
    assert "\x1b" not in caught.value.message
    assert "\u202e" not in caught.value.message


def test_a_further_text_adds_entries_and_a_blank_one_clears() -> None:
    from_file = PortEnum.parse("80")
    assert from_file.extended("9090").ranges == (PortRange(80), PortRange(9090))
    assert not from_file.extended("   ").is_set


def test_an_unset_enumeration_matches_nothing() -> None:
    assert not PortEnum().is_set
    assert not any(PortEnum().matches(port) for port in (0, 1, 80, 65535))


@pytest.mark.parametrize(
    ("text", "idle"),
    [
        ("80,8000-8999,65535", []),
        ("8999-8000,80", ["8999-8000"]),
        ("0,80-0", ["0"]),
        ("0-1", []),
        ("65535-70000", []),
        ("70000,65536-70000", ["70000", "65536-70000"]),
    ],
)
def test_entries_that_cover_no_port_are_named(text: str, idle: list[str]) -> None:
    assert [str(entry) for entry in PortEnum.parse(text).idle_entries()] == idle


def reference(text: str) -> list[tuple[int, int]] | None:
    """The grammar once more, by splitting instead of a regular expression."""
    while text and text[0] in GO_SPACE:
        text = text[1:]
    while text and text[-1] in GO_SPACE:
        text = text[:-1]
    if not text:
        return []
    ranges = []
    for entry in text.split(","):
        parts = [part.strip("\t\n\f\r ") for part in entry.split("-")]
        if len(parts) > 2 or not all(part and set(part) <= set(string.digits) for part in parts):
            return None
        numbers = [min(int(part), 2**63 - 1) for part in parts]
        ranges.append((numbers[0], numbers[1] if len(numbers) == 2 else 0))
    return ranges


@pytest.mark.fuzz("ports")
@given(st.text(alphabet="0123456789,,--  \t\n\v\f\r\xa0\x1cx\u0663\u2003", max_size=30))
def test_parse_agrees_with_a_reference(text: str) -> None:
    expected = reference(text)
    if expected is None:
        with pytest.raises(UsageError):
            PortEnum.parse(text)
    else:
        assert [tuple(entry) for entry in PortEnum.parse(text).ranges] == expected


@pytest.mark.fuzz("ports")
@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        parsed = PortEnum.parse(text)
    except UsageError:
        assert reference(text) is None
    else:
        assert reference(text) is not None
        assert PortEnum.parse(str(parsed)) == parsed


@given(
    st.lists(st.tuples(st.integers(0, 70000), st.integers(0, 70000)), min_size=1, max_size=5),
    st.integers(0, 65535),
)
def test_a_port_matches_if_some_entry_covers_it(entries: list[tuple[int, int]], port: int) -> None:
    parsed = PortEnum.parse(",".join(f"{start}-{end}" for start, end in entries))
    covered = any(
        port == start if end == 0 else port in range(start, end + 1) for start, end in entries
    )
    assert parsed.matches(port) is covered


def test_thousands_of_digits_clamp() -> None:
    assert PortEnum.parse("9" * 10_000).ranges == (PortRange(2**63 - 1),)
    assert PortEnum.parse("0" * 10_000 + "80").ranges == (PortRange(80),)


@pytest.mark.parametrize("vector", YAML_VECTORS, ids=lambda vector: repr(vector["yaml"]))
def test_yaml_form(vector: dict[str, Any]) -> None:
    document = parse_document(f"open_port: {vector['yaml']}\nother: 1\n", "beyla.yaml", {})
    assert document is not None
    entry = document.members()["open_port"]
    if "error" in vector:
        with pytest.raises(UsageError) as caught:
            PortEnum.read(entry)
        assert vector["error"] in caught.value.message
        assert "beyla.yaml:1: open_port" in caught.value.message
    else:
        assert [list(each) for each in PortEnum.read(entry).ranges] == vector["ranges"]
