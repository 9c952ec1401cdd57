"""Real Go toolchains: what they build is built once for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.go.workshop import Missing, Workshop


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """Builds plugins and their hosts."""
    return Workshop(tmp_path_factory.mktemp("go"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Skip where a toolchain is missing, naming it."""
    try:
        return (yield)
    except Missing as missing:
        pytest.skip(str(missing))
