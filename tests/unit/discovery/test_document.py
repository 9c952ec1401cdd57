"""YAML documents with raw scalars and places."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.document import (
    Entry,
    Place,
    expand_variables,
    parse_document,
    parse_duration,
    read_document,
)


def read(text: str) -> Entry:
    entry = parse_document(text, "b.yaml", {})
    assert entry is not None
    return entry


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("${SET}", "value"),
        ("${env:SET}", "value"),
        ("${UNSET}", ""),
        ("${UNSET:-80,90}", "80,90"),
        ("${EMPTY:-x}", "x"),
        ("${SET:-x}", "value"),
        ("$${SET}", "${SET}"),
        ("$SET", "$SET"),
        ("${SET-x}", "${SET-x}"),
        ("a${SET}${SET}b", "avaluevalueb"),
    ],
)
def test_variables(text: str, expanded: str) -> None:
    assert expand_variables(text, {"SET": "value", "EMPTY": ""}) == expanded


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("5s", 5), ("1m30s", 90), ("0s", 0), ("1.5h", 5400), ("2us", 2e-6)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text, Place("x")) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["5", "0", "", "s", "5 s", "-5s", "1d", "5s5"])
def test_a_duration_needs_a_unit(text: str) -> None:
    with pytest.raises(UsageError, match="no duration"):
        parse_duration(text, Place("BEYLA_MIN_PROCESS_AGE"))


def test_scalars_keep_their_characters() -> None:
    members = read("a: 0x50\nb: 010\nc: '~'\nd: ~\ne: yes").members()
    assert [members[key].text() for key in "abcde"] == ["0x50", "010", "~", "", "yes"]
    assert [members[key].is_null for key in "abcde"] == [False, False, False, True, False]
    assert members["e"].boolean() is True


def test_an_error_names_file_line_and_path() -> None:
    entry = read("discovery:\n  instrument:\n    - open_ports: 80\n    - containers_only: maybe\n")
    second = entry.members()["discovery"].members()["instrument"].items()[1]
    with pytest.raises(UsageError) as caught:
        second.members()["containers_only"].boolean()
    assert caught.value.message == (
        "b.yaml:4: discovery.instrument[1].containers_only: true or false is wanted here"
    )


def test_merge_keys_are_taken_in() -> None:
    members = read("base: &b {x: 1, y: 2}\nuse:\n  <<: *b\n  y: 3\n").members()["use"].members()
    assert {key: entry.text() for key, entry in members.items()} == {"x": "1", "y": "3"}


def test_of_several_merged_mappings_the_first_counts() -> None:
    text = "a: &a {x: 1}\nb: &b {x: 2, y: 2}\nuse:\n  <<: [*a, *b]\n  z: 3\n"
    members = read(text).members()["use"].members()
    assert {key: entry.text() for key, entry in members.items()} == {"x": "1", "y": "2", "z": "3"}


@pytest.mark.parametrize(
    "text",
    [
        "use: &a\n  <<: &b\n    <<: *a\n",
        "use: &a\n  <<: [*a]\n",
        "x0: &a0 {k: 1}\n" + "".join(f"x{i + 1}: &a{i + 1} {{<<: *a{i}}}\n" for i in range(99))
        + "use: {<<: *a99}\n",
    ],
    ids=["in a circle", "itself", "deep"],
)  # fmt: skip
def test_merges_without_end_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="merge"):
        read(text).members()["use"].members()


def test_mappings_merged_twice_at_each_level_take_no_time() -> None:
    levels = "".join(f"x{i + 1}: &a{i + 1} {{<<: [*a{i}, *a{i}]}}\n" for i in range(19))
    members = read(f"x0: &a0 {{k: 1}}\n{levels}use: {{<<: *a19}}\n").members()["use"].members()
    assert members["k"].text() == "1"


def test_of_several_documents_the_first_is_read() -> None:
    assert read("a: 1\n---\nb: 2\n").members().keys() == {"a"}


@pytest.mark.parametrize(
    "text",
    ["a: [", "a: 1\na: 2", "\t- x", "[" * 5000, "&a [*a]", "a: *b"],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_usable_yaml_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"^b\.yaml"):
        read(text).members()


@pytest.mark.parametrize(
    "text", ["9" * 5_000, "0x" + "f" * 5_000, "9223372036854775808"], ids=lambda text: text[:9]
)
def test_a_number_of_more_than_64_bits_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="whole number is wanted"):
        read(f"a: {text}").members()["a"].integer()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_document(tmp_path / "absent.yaml", {})
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        read_document(tmp_path / "latin.yaml", {})
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_document(tmp_path / "empty.yaml", {}) is None


@pytest.mark.fuzz("Beyla's configuration")
@given(st.text(alphabet="ab:-[]{}&*!|>'\"\n #<,~0x", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(UsageError):
        entry = parse_document(text, "b.yaml", {})
        for each in (entry.members() if entry else {}).values():
            each.integer()
