"""What the run time makes of the newest module in its list."""

from __future__ import annotations

import pytest

from engine.modules.linkage import Linkage
from engine.modules.modulelist import (
    DIFFERENT,
    LOADED,
    NIL_POINTER,
    NO_MODULE,
    Judgement,
    ModuleList,
)
from tests.unit.modules.linkages import build, linkage

HOST = {"runtime": b"\1", "dep": b"\1"}
C = linkage("c", {})


@pytest.fixture
def modules() -> ModuleList:
    return ModuleList(build("1.26.6").layout, HOST)


def opened(modules: ModuleList, each: Linkage) -> Judgement:
    """Map a file and have it judged."""
    modules.mapped(each)
    return modules.judge(each)


def test_a_plugin_whose_shared_packages_are_equal_fits(modules: ModuleList) -> None:
    judged = opened(modules, linkage("good", {"runtime": 1, "own": 9}))
    assert (judged.outcome, judged.shared, judged.overwritten) == ("fits", 1, False)


def test_the_first_package_in_the_plugins_order_is_named_and_all_are_listed(
    modules: ModuleList,
) -> None:
    judged = opened(modules, linkage("bad", {"own": 1, "dep": 2, "runtime": 2}))
    assert (judged.outcome, judged.text) == ("refused", f"{DIFFERENT}dep")
    assert [each.package for each in judged.differences] == ["dep", "runtime"]
    assert judged.or_texts == ()


def test_any_of_them_may_be_named_where_the_order_is_not_known(modules: ModuleList) -> None:
    judged = opened(modules, linkage("bad", {"dep": 2, "runtime": 2}, ordered=False))
    assert (judged.text, *judged.or_texts) == (f"{DIFFERENT}dep", f"{DIFFERENT}runtime")


def test_a_refused_plugin_leaves_its_packages_to_the_next(modules: ModuleList) -> None:
    opened(modules, linkage("bad", {"dep": 2, "own": 2}))
    judged = opened(modules, linkage("good", {"dep": 1, "own": 1}))
    assert judged.text == f"{DIFFERENT}own"
    assert judged.differences[0].owner == "/bad"


def test_a_plugin_path_can_be_opened_once(modules: ModuleList) -> None:
    opened(modules, linkage("one", {"runtime": 1}, path="same"))
    judged = opened(modules, linkage("two", {"runtime": 1}, path="same"))
    assert (judged.outcome, judged.text) == ("refused", LOADED)


def test_a_plugin_path_that_was_refused_can_still_be_opened(modules: ModuleList) -> None:
    opened(modules, linkage("one", {"dep": 2}, path="same"))
    assert opened(modules, linkage("two", {"runtime": 1}, path="same")).outcome == "fits"


def test_what_is_no_plugin_is_taken_for_the_one_before(modules: ModuleList) -> None:
    opened(modules, linkage("good", {"runtime": 1}))
    assert opened(modules, C).text == LOADED


@pytest.mark.parametrize("before", [[], [linkage("bad", {"dep": 2})]], ids=["nothing", "refused"])
def test_what_is_no_plugin_kills_where_no_good_one_is_last(
    modules: ModuleList, before: list[Linkage]
) -> None:
    for each in before:
        opened(modules, each)
    judged = opened(modules, C)
    assert (judged.outcome, judged.text) == ("fatal", NO_MODULE)


def test_a_plugin_of_another_layout_is_not_found(modules: ModuleList) -> None:
    judged = opened(modules, linkage("newer", {"runtime": 2}, go="1.27.3"))
    assert (judged.outcome, judged.text) == ("fatal", NO_MODULE)
    assert "go1.27.3" in judged.reason
    assert judged.overwritten


def test_a_plugin_of_another_layout_spoils_the_list_for_good_ones(modules: ModuleList) -> None:
    opened(modules, linkage("good", {"runtime": 1}))
    judged = opened(modules, linkage("newer", {"runtime": 1}, go="1.27.3"))
    assert (judged.outcome, judged.text, judged.overwritten) == ("refused", LOADED, True)
    late = opened(modules, linkage("late", {"runtime": 1}))
    assert (late.text, late.overwritten) == (LOADED, True)


def test_fields_in_other_places_are_a_nil_pointer(modules: ModuleList) -> None:
    judged = opened(modules, linkage("older", {"runtime": 1}, go="1.22.10"))
    assert (judged.outcome, judged.text) == ("panic", NIL_POINTER)


def test_another_patch_release_is_judged_by_its_packages(modules: ModuleList) -> None:
    assert opened(modules, linkage("patch", {"runtime": 1}, go="1.26.5")).outcome == "fits"


@pytest.mark.parametrize("mark", [1, 2], ids=["good", "refused"])
def test_nothing_can_be_told_once_the_mark_of_a_module_is_lost(mark: int) -> None:
    old = ModuleList(build("1.22.10").layout, HOST)
    opened(old, linkage("first", {"dep": mark}, go="1.22.10"))
    judged = opened(old, linkage("newer", {"dep": 1}, go="1.25.5"))
    assert (judged.outcome, judged.overwritten) == ("unknown", True)


def test_a_lost_mark_is_none_where_no_module_is_before() -> None:
    old = ModuleList(build("1.22.10").layout, HOST)
    assert opened(old, linkage("newer", {"dep": 1}, go="1.25.5")).text == NO_MODULE
