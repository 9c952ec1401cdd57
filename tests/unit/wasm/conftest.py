"""A host that is released after the test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.wasm.host import WasmHost


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """An empty plugin host with a deadline of 50 ms."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock), deadline_ms=50)
    wasm.start()
    yield wasm
    wasm.stop()
