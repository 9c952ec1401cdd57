"""The demo plugins run as they lie in the repository."""

from __future__ import annotations

import os

import pytest

from engine.agent.host import PluginHost
from tests.unit.agent.support import (
    DEMO_PLUGINS,
    records,
    row,
    wait_for_records,
    wait_for_state,
)
from tests.waiting import wait_until


def test_boxload_reports_the_box_each_second_and_on_request(host: PluginHost) -> None:
    assert host.load(DEMO_PLUGINS / "boxload") == "boxload"
    first, second = wait_for_records(host, "boxload", 2)[:2]
    assert first["data_type"] == second["data_type"] == 7000
    assert 0 <= second["timestamp"] - first["timestamp"] <= 5
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert int(first["fields"]["total_mem"]) == pytest.approx(total, rel=0.01)
    assert float(first["fields"]["load_1"]) >= 0
    host.send_task("boxload", 7010, "")
    wait_until(lambda: "->" in row(host, "boxload")["last_task"])
    assert row(host, "boxload")["last_task"].startswith('7010 -> succeed: "reported" in ')
    host.send_task("boxload", 1, "")
    wait_until(lambda: row(host, "boxload")["last_task"].startswith("1 -> failed: "))


def test_flood_sends_at_the_rate_it_is_told_and_nothing_is_lost(host: PluginHost) -> None:
    host.load(DEMO_PLUGINS / "flood", detail='{"size": 128}')
    host.send_task("flood", 7011, '{"rate": 5000}')
    wait_until(lambda: "->" in row(host, "flood")["last_task"])
    assert row(host, "flood")["last_task"].startswith('7011 -> succeed: "rate 5000/s" in ')
    wait_until(lambda: 4_500 < row(host, "flood")["tx_rate"] < 5_500, 20)
    host.send_task("flood", 7011, '{"rate": 0}')
    wait_until(lambda: "rate 0/s" in row(host, "flood")["last_task"])
    sent = [one for one in records(host, "flood") if one["data_type"] == 7001]
    numbers = [int(one["fields"]["number"]) for one in sent]
    assert numbers == list(range(1, len(numbers) + 1))
    shown = row(host, "flood")
    replies = 2
    assert (shown["tx_count"], shown["dropped"]) == (len(sent) + replies, 0)
    assert shown["tx_bytes"] == pytest.approx(128 * len(sent), rel=0.05)
    assert host.counters().seen == host.counters().kept


def test_flood_says_which_settings_it_cannot_use(host: PluginHost) -> None:
    host.load(DEMO_PLUGINS / "flood", detail='{"rate": 0}')
    host.send_task("flood", 7011, '{"rate": "fast"}')
    wait_until(lambda: "->" in row(host, "flood")["last_task"])
    assert '-> failed: "rate is a number' in row(host, "flood")["last_task"]
    host.load(DEMO_PLUGINS / "flood", name="flood-2", detail="{")
    shown = wait_for_state(host, "flood-2", "exited")
    assert shown["exit_code"] == 1
    assert shown["last_stderr"].startswith("flood: cannot use DETAIL: ")


@pytest.mark.parametrize("name", ["boxload", "flood"])
def test_demo_plugins_leave_when_they_are_asked_to(host: PluginHost, name: str) -> None:
    detail = '{"rate": 100000}' if name == "flood" else "any"
    host.load(DEMO_PLUGINS / name, detail=detail)
    wait_until(lambda: row(host, name)["tx_count"] > 0)
    host.unload(name)
    wait_until(lambda: not row(host, name))
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("state"), last.get("exit_code"), last.get("dropped")) == ("exited", 0, 0)
