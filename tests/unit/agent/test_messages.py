"""Tasks are written as an agent writes them."""

from __future__ import annotations

from typing import Any

import pytest

from engine.agent.messages import encode_task
from engine.agent.wire import frame
from tests.unit.agent.support import VECTORS


@pytest.mark.parametrize("vector", VECTORS["tasks"], ids=lambda vector: vector["id"])
def test_writes_the_tasks_an_agent_writes(vector: dict[str, Any]) -> None:
    encoded = encode_task(
        vector["data_type"], vector["object_name"], vector["data"], vector["token"]
    )
    assert frame(encoded).hex() == vector["hex"]


@pytest.mark.parametrize(("data_type", "data"), [(2**31, ""), (1, "\ud800")])
def test_refuses_a_task_that_cannot_be_one(data_type: int, data: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - protobuf's own words
        encode_task(data_type, "me", data, "t")
