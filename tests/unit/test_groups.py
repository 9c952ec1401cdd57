"""How the tests themselves are spread over processes."""

from __future__ import annotations

import os

import pytest


def test_a_test_is_sent_where_its_group_is(request: pytest.FixtureRequest) -> None:
    """The groups are known when the tests are handed out: xdist writes them behind the names."""
    beside = "PYTEST_XDIST_WORKER" in os.environ
    assert ("@" in request.node.nodeid) == (beside and request.config.getoption("loadgroup"))
