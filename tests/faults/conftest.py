"""After each fault nothing is left: no process, no kernel program, no descriptor."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from engine.core.errors import RequirementError
from engine.probe import preflight
from tests.faults.support import DEADLINE_S
from tests.kernel.kernel_facts import loaded_programs
from tests.unit.agent.support import open_files
from tests.waiting import wait_until


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip where a right or BCC is missing, naming which."""
    if item.get_closest_marker("kernel") is None:
        return
    try:
        preflight.check()
    except RequirementError as missing:
        pytest.skip(str(missing))


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Compare with what was there before."""
    children, programs, files = _children(), loaded_programs(), open_files()
    yield
    wait_until(lambda: _children() <= children, DEADLINE_S)
    wait_until(lambda: loaded_programs() <= programs, DEADLINE_S)
    wait_until(lambda: open_files() <= files, DEADLINE_S)


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))
