from __future__ import annotations

import pytest

from engine.probe.attribute_types import attribute_types
from engine.probe.catalogue import EVENTS, resolve


@pytest.mark.parametrize(
    ("event", "types"),
    [
        ("syscall_exit-openat", {"fd": "fd", "name": "relpath", "flags": "f32"}),
        ("syscall_exit-read", {"res": "err", "data": "bytes"}),
        ("syscall_enter-futex", {"addr": "u64", "op": "f16", "val": "u64"}),
        ("tracepoint-procexit", {"status": "err", "group_dead": "bool"}),
        ("kprobe-tcp_set_state", {"sport": "u16", "old_state": "str", "ctx_tid": "pid"}),
    ],
)
def test_attributes_have_kindlings_types(event: str, types: dict[str, str]) -> None:
    told = dict(attribute_types(resolve(event)[0].event))
    assert {key: told[key] for key in types} == types


def test_every_attribute_of_every_event_has_a_type() -> None:
    for event in EVENTS:
        typed = attribute_types(event)
        assert tuple(key for key, _ in typed) == event.attributes
        assert all(kind for _, kind in typed)
