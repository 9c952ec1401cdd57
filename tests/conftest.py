"""What holds for every test."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tui.collector import rare_collections

pytest_plugins = ["tests.ledgers"]

# A busy machine must not decide a test: examples may take as long as they take.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Under nohup, or behind the & of a script, these are ignored, and programs under test would be born
# ignoring them.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

# What looks at the kernel and at the whole box is one after the other (where all tests are wanted,
# scripts/test.sh runs those of discovery before); so is what builds with Go, as it shares its
# builds. Of the rest, each file is by itself.
_BOX = ("tests/kernel/", "tests/unit/discovery/", "tests/faults/")
_GO = ("tests/go/",)


def _group(path: str) -> str:
    if path.startswith(_BOX):
        return "box"
    return "go" if path.startswith(_GO) else path


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook, too
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests share a process when they run in several beside each other."""
    for item in items:
        path = item.location[0].replace(os.sep, "/")
        item.add_marker(pytest.mark.xdist_group(_group(path)))


@pytest.fixture(autouse=True, scope="session")
def seldom_collected() -> Iterator[None]:
    """The garbage collector as the commands have it: a sixth of the time of the UI tests."""
    with rare_collections():
        yield


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled programs of this run alone, shared by its processes; nothing of the user's."""
    before = os.environ.get("XDG_CACHE_HOME")
    base = tmp_path_factory.getbasetemp()
    cache = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    cache.mkdir(mode=0o700, exist_ok=True)
    os.environ["XDG_CACHE_HOME"] = str(cache)
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before
