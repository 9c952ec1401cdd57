"""What a pushed list would do is known before it is done."""

from __future__ import annotations

from pathlib import Path

from engine.agent.config import PluginConfig
from engine.agent.sync import KnownPlugin, SyncStep, plan_sync
from tests.unit.agent.artifacts import file_with, sha256

CONTENT = b"#!/bin/sh\n"


def config(name: str, version: str = "1", *urls: str, digest: str = "") -> PluginConfig:
    sha = digest or sha256(CONTENT)
    return PluginConfig(name=name, version=version, sha256=sha, download_urls=urls)


def test_a_new_plugin_is_loaded_from_where_it_is(tmp_path: Path) -> None:
    file_with(tmp_path / "here" / "here", CONTENT)
    url = "http://127.0.0.1/x"
    steps = plan_sync({}, [config("here"), config("far", "2", url), config("nowhere")], tmp_path)
    assert steps == (
        SyncStep("here", "load", "1", note="the executable is there and verified"),
        SyncStep("far", "load", "2", note="downloads an executable from http://127.0.0.1/x"),
        SyncStep(
            "nowhere",
            "load",
            "1",
            error="no verified executable is there, and there are no download_urls",
        ),
    )


def test_what_is_known_is_kept_replaced_restarted_or_removed(tmp_path: Path) -> None:
    known = {
        "same": KnownPlugin("1", True),
        "older": KnownPlugin("0.9", True),
        "newer": KnownPlugin("2", True),
        "dead": KnownPlugin("1", False),
        "deadold": KnownPlugin("0", False),
        "unlisted": KnownPlugin("7", True),
        "unlisteddead": KnownPlugin("", False),
    }
    names = ("same", "older", "newer", "dead", "deadold")
    for name in names:
        file_with(tmp_path / name / name, CONTENT)
    steps = plan_sync(known, [config(name) for name in names], tmp_path)
    assert [(step.plugin, step.action, step.was_version) for step in steps] == [
        ("same", "keep", "1"),
        ("older", "replace", "0.9"),
        ("newer", "replace", "2"),
        ("dead", "restart", "1"),
        ("deadold", "restart", "0"),
        ("unlisted", "remove", "7"),
        ("unlisteddead", "remove", ""),
    ]
    assert [step.deletes for step in steps if step.deletes] == [
        str(tmp_path / "unlisted"), str(tmp_path / "unlisteddead"),
    ]  # fmt: skip
    assert not any(step.error for step in steps)


def test_what_cannot_be_loaded_is_said_in_the_plan(tmp_path: Path) -> None:
    steps = plan_sync({}, [config("a.b"), config("bad", digest="12"), config("\x1b[2J")], tmp_path)
    assert "invalid plugin name" in steps[0].error
    assert "is no SHA-256" in steps[1].error
    assert (steps[2].plugin + steps[2].error).isprintable()


def test_the_same_version_is_kept_even_if_its_files_are_gone(tmp_path: Path) -> None:
    (step,) = plan_sync({"a": KnownPlugin("1", True)}, [config("a")], tmp_path)
    assert (step.action, step.error) == ("keep", "")
    assert "changes nothing" in step.note
