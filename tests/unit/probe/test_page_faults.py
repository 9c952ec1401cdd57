"""What is told of page faults, and the probe's defaults against the settings'."""

from __future__ import annotations

from engine.core.settings import Settings
from engine.probe.hook_settings import HookSettings
from engine.probe.page_faults import Fault, by_process
from engine.probe.probe import RING_BYTES
from engine.probe.schema import SNAPLEN, SNAPLEN_MAX

READ_ABSENT, WRITE_ABSENT, WRITE_ABSENT_BY_USER = 0, 2, 6


def test_faults_are_told_by_process_and_access_the_most_first() -> None:
    faults = {
        Fault(7, READ_ABSENT): 3,
        Fault(9, WRITE_ABSENT): 10,
        Fault(9, WRITE_ABSENT_BY_USER): 5,
        Fault(7, WRITE_ABSENT): 1,
    }
    assert by_process(faults) == [
        {"pid": 9, "count": 15, "write absent": 15},
        {"pid": 7, "count": 4, "read absent": 3, "write absent": 1},
    ]
    assert by_process({}) == []


def test_only_the_processes_with_the_most_are_told() -> None:
    told = by_process({Fault(pid, READ_ABSENT): pid for pid in range(1, 1_000)})
    assert len(told) == 20
    assert told[0] == {"pid": 999, "count": 999, "read absent": 999}


def test_what_is_set_where_nothing_is_set_is_what_the_probe_does_by_itself() -> None:
    settings = Settings.model_validate({})
    assert HookSettings(settings.segment_interval_s, settings.fault_interval) == HookSettings()
    assert settings.ring_mib << 20 == RING_BYTES
    assert settings.snaplen == SNAPLEN
    limits = Settings.model_json_schema()["properties"]["snaplen"]
    assert (limits["minimum"], limits["maximum"]) == (0, SNAPLEN_MAX)
