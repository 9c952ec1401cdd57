"""What is behind differing packages, and what mends it."""

from __future__ import annotations

import pytest

from engine.modules.buildinfo import Module
from engine.modules.causes import STANDARD, build_command, explain
from engine.modules.linkage import Build
from engine.modules.outcome import Difference, Explanation
from tests.unit.modules.linkages import build


def explained(host: Build, plugin: Build, *packages: str) -> Explanation:
    return explain(host, plugin, [Difference(each, "01", "02", "") for each in packages])


@pytest.mark.parametrize(
    ("host", "plugin", "cause"),
    [
        (build("1.26.6"), build("1.26.5"), ("Go version", "go1.26.6", "go1.26.5")),
        (build(trimpath="true"), build(), ("-trimpath", "true", "no")),
        (build(), build(race="true"), ("-race", "no", "true")),
        (build(), build(instrumented=("race",)), ("-race", "no", "true")),
        (build(cover="true"), build(), ("-cover", "true", "no")),
        (build(gcflags="all=-N -l"), build(), ("-gcflags", "all=-N -l", "no")),
        (build(experiment="arenas"), build(), ("GOEXPERIMENT", "arenas", "none")),
        (build(tags="netgo"), build(), ("-tags", "netgo", "no")),
    ],
)
def test_a_setting_that_differs_is_the_cause(
    host: Build, plugin: Build, cause: tuple[str, str, str]
) -> None:
    found = explained(host, plugin, "internal/goarch")
    assert [(each.what, each.host, each.plugin) for each in found.causes] == [cause]
    assert found.hint == ""


@pytest.mark.parametrize(
    "host", [build(ldflags="-s -w"), build(buildmode="pie"), build(gcflags="-N -l")]
)
def test_settings_that_change_nothing_shared_are_no_cause(host: Build) -> None:
    assert explained(host, build(), "internal/goarch").causes == ()


def test_settings_of_toolchains_are_no_cause_where_only_a_module_differs() -> None:
    modules = Module("example.com/dep", "v1.0.0")
    found = explained(
        build("1.26.6", modules, race="true"), build("1.26.6", modules), "example.com/dep"
    )
    assert found.causes == ()
    assert "-trimpath" in found.hint


def test_packages_are_grouped_by_the_longest_module_path() -> None:
    modules = (
        Module("example.com/a", "v1.0.0"),
        Module("example.com/a/b", "v2.0.0"),
    )
    found = explained(
        build("1.26.6", *modules),
        build("1.26.6", *modules),
        "fmt", "example.com/a/b/c", "example.com/a/d", "example.com/ab", "net/http",
    )  # fmt: skip
    assert [(each.module, each.packages) for each in found.groups] == [
        (STANDARD, ("fmt", "net/http")),
        ("example.com/a/b", ("example.com/a/b/c",)),
        ("example.com/a", ("example.com/a/d",)),
        ("example.com/ab", ("example.com/ab",)),
    ]


def test_another_version_of_a_module_is_mended_by_the_hosts() -> None:
    host = build("1.26.6", Module("example.com/dep", "v1.0.0"))
    plugin = build("1.26.6", Module("example.com/dep", "v1.1.0"))
    found = explained(host, plugin, "example.com/dep/inner")
    assert [str(each.what) for each in found.causes] == ["version of example.com/dep"]
    assert found.fixes[0].startswith("go get example.com/dep@v1.0.0 ")
    assert "go mod edit -replace=example.com/dep=example.com/dep@v1.0.0" in found.fixes[0]


def test_a_replaced_module_is_mended_by_the_same_replacement() -> None:
    fork = Module("example.com/fork", "v1.0.1")
    host = build("1.26.6", Module("example.com/dep", "v1.0.0", fork))
    plugin = build("1.26.6", Module("example.com/dep", "v1.0.0"))
    found = explained(host, plugin, "example.com/dep")
    assert found.groups[0].host == "v1.0.0 => example.com/fork v1.0.1"
    assert found.fixes[0] == "go mod edit -replace=example.com/dep=example.com/fork@v1.0.1"


def test_the_build_command_repeats_what_counts_of_the_hosts() -> None:
    host = build("1.26.6", trimpath="true", race="true", tags="a,b", gcflags="all=-N -l")
    assert build_command(host) == (
        "GOTOOLCHAIN=go1.26.6 go build -buildmode=plugin -trimpath -race "
        "'-gcflags=all=-N -l' -tags=a,b"
    )


def test_a_tag_cannot_slip_a_command_into_the_advice() -> None:
    assert build_command(build(tags="a;reboot")).endswith(" '-tags=a;reboot'")
