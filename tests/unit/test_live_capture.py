"""Capturing where the probe cannot run: said in the traffic's own name, and on every wish."""

from __future__ import annotations

import pytest

from engine.core.errors import FailedError, RequirementError
from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.probe import preflight
from engine.selection import Selection
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until


def test_without_a_probe_traffic_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise RequirementError("not root", fix="run as root")

    monkeypatch.setattr(preflight, "check", refuse)
    with LiveEngine(Selection(probe=True, live=True), Settings()) as engine:
        wait_until(lambda: engine.snapshot().sources["probe"].state == "failed")
        traffic = engine.snapshot().sources["traffic"]
        assert (traffic.state, traffic.fix, traffic.missing) == ("failed", "run as root", True)
        assert "not root" in traffic.reason
        with pytest.raises(RequirementError, match="not root"):
            engine.attach(1)


def test_without_a_probe_the_row_says_why_it_is_not_captured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse() -> None:
        raise RequirementError("not root", fix="run as root")

    monkeypatch.setattr(preflight, "check", refuse)
    with Listener() as listener:
        settings = Settings(open_port=str(listener.open()), scan_interval_s=0.1)
        selection = Selection(discovery=True, probe=True, live=True, attach=True)
        with LiveEngine(selection, settings) as engine:

            def told() -> list[object]:
                rows = engine.snapshot().tables.get("process", ())
                return [(row.get("attached"), row.get("capture_error")) for row in rows]

            why = "no traffic can be captured: not root"
            wait_until(lambda: told() == [(False, why)])
            wait_until(
                lambda: engine.snapshot().sources["discovery"].state in ("running", "degraded")
            )
            assert engine.attached == frozenset()


def test_where_traffic_was_not_asked_for_attaching_is_refused() -> None:
    with LiveEngine(Selection(), Settings()) as engine:
        for act in (engine.attach, engine.detach):
            with pytest.raises(FailedError, match="do not run here"):
                act(1)
