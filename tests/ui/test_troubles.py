"""What befalls a source without a pane is told once, with its reason."""

from __future__ import annotations

from dataclasses import replace

from engine.core.source import SourceStatus
from tests.ui.fake_engine import FakeEngine
from tui.console.troubles import Troubles

WELL = SourceStatus("recording", "running")
FULL = SourceStatus("recording", "degraded", "the disk is full", "make room")


def test_it_is_told_when_it_begins_when_it_changes_and_when_it_comes_again() -> None:
    troubles, snapshot = Troubles(["probe"]), FakeEngine().snapshot()

    def news(*statuses: SourceStatus) -> list[str]:
        return troubles.news(replace(snapshot, sources={each.name: each for each in statuses}))

    assert news(WELL) == []
    assert news(FULL) == ["recording degraded: the disk is full\nmake room"]
    assert news(FULL) == []
    assert news(replace(FULL, state="failed", fix="")) == ["recording failed: the disk is full"]
    assert news(WELL) == []
    assert len(news(FULL)) == 1
    assert news(SourceStatus("probe", "failed", "its pane tells that")) == []


def test_what_a_source_says_is_text() -> None:
    troubles, snapshot = Troubles([]), FakeEngine().snapshot()
    hostile = replace(FULL, reason="\x1b]0;x\x07", fix="")
    (told,) = troubles.news(replace(snapshot, sources={"recording": hostile}))
    assert "\x1b" not in told
    assert "\x07" not in told
