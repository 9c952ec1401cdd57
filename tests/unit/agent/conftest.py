"""A running plugin host that leaves nothing behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.agent.host import PluginHost
from tests.unit.agent.support import running_host


@pytest.fixture
def host() -> Iterator[PluginHost]:
    """A started host; afterwards it is stopped and must have given every descriptor back."""
    with running_host() as started:
        yield started
