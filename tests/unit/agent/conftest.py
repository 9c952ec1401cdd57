"""A running plugin host that leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engine.agent.host import PluginHost
from engine.core.clock import SystemClock
from engine.core.source import Logbook


@pytest.fixture
def host() -> Iterator[PluginHost]:
    """A started host; afterwards it is stopped and must have given every descriptor back."""
    before = len(os.listdir("/proc/self/fd"))
    clock = SystemClock()
    started = PluginHost(clock, Logbook(clock))
    started.start()
    yield started
    started.stop()
    assert started.counters().balanced
    assert len(os.listdir("/proc/self/fd")) == before
