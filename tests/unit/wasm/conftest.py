"""A host that is released after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.wasm.host import WasmHost
from engine.wasm.options import HostOptions


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """An empty plugin host with a deadline of 50 ms."""
    with closing(new_host()) as wasm:
        yield wasm


@pytest.fixture
def host_with() -> Iterator[Callable[..., WasmHost]]:
    """Makes hosts with options of `HostOptions`, and releases them after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(new_host(**options)))


@contextmanager
def closing(wasm: WasmHost) -> Iterator[WasmHost]:
    """Stop a host in the end."""
    try:
        yield wasm
    finally:
        wasm.stop()


def new_host(**options: Any) -> WasmHost:
    """A started host with a deadline of 50 ms."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock), options=HostOptions(**{"deadline_ms": 50} | options))
    wasm.start()
    return wasm
