"""Host and plugin describe modules in the same form, or how they differ."""

from __future__ import annotations

import pytest

from engine.modules.layouts import Layout, compare, link_hits_mark

SIZES = {19: 552, 20: 568, 21: 592, 22: 592, 23: 584, 24: 584, 25: 584, 26: 592, 27: 568}


def of(minor: int) -> Layout:
    return Layout(SIZES[minor], f"go1.{minor}.3")


@pytest.mark.parametrize(
    ("host", "plugin", "expected"),
    [
        (26, 26, "same"),
        (21, 22, "same"),
        (23, 25, "same"),
        (22, 23, "link elsewhere"),
        (26, 27, "link elsewhere"),
        (19, 27, "link elsewhere"),
        (22, 26, "fields elsewhere"),
        (26, 21, "fields elsewhere"),
        (20, 27, "fields elsewhere"),
    ],
)
def test_versions_are_alike_or_not(host: int, plugin: int, expected: str) -> None:
    assert compare(of(host), of(plugin)) == expected


def test_a_version_that_came_later_is_like_itself_and_unlike_other_sizes() -> None:
    later = Layout(592, "go1.40.1")
    assert compare(later, Layout(592, "go1.40")) == "same"
    assert compare(later, of(25)) == "link elsewhere"
    assert compare(later, of(26)) == "unknown"


def test_the_size_alone_tells_where_only_one_form_has_it() -> None:
    assert compare(of(19), Layout(552, "")) == "same"
    assert compare(of(26), Layout(592, "")) == "unknown"
    assert compare(of(26), Layout(None, "go1.26.3")) == "unknown"


@pytest.mark.parametrize("text", ["", "devel +0123", "go2.1", "cargo1.26"])
def test_what_is_no_version_of_go_1_has_no_minor(text: str) -> None:
    assert Layout(592, text).minor is None


@pytest.mark.parametrize(
    "text", ["go1.26", "go1.26.6", "go1.26rc1", "devel go1.26-0123", "go1.26.6-X:arenas"]
)
def test_the_minor_version_stands_in_every_form_of_a_version(text: str) -> None:
    assert Layout(592, text).minor == 26


@pytest.mark.parametrize(("host", "plugin"), [(21, 23), (22, 25)])
def test_a_link_may_hit_the_mark_of_refused_modules(host: int, plugin: int) -> None:
    assert link_hits_mark(of(host), of(plugin))
    assert not link_hits_mark(of(plugin), of(host))
    assert not link_hits_mark(of(26), of(plugin))
