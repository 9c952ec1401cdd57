"""Where the records of a live engine are, by kind."""

from __future__ import annotations

import pytest

from engine.core.kinds import LOG, PLUGIN_STATE
from engine.core.records import Record, RecordRing, new_record
from engine.stores import Stores


def state(plugin: str) -> Record:
    return new_record(PLUGIN_STATE, {"plugin": plugin}, ts_ns=1)


def test_the_log_is_there_before_any_source_is() -> None:
    log = RecordRing(10)
    log.append(new_record(LOG, {"text": "begun"}, ts_ns=1))
    assert Stores(log).of("log").last_seq == 1


def test_a_kind_without_a_source_is_empty_and_one_nobody_declares_is_an_error() -> None:
    stores = Stores(RecordRing(1))
    assert stores.of("kernel_event").last_seq == 0
    with pytest.raises(KeyError):
        stores.of("weather")


def test_what_is_sampled_joins_what_a_source_writes_of_the_same_kind() -> None:
    stores, ring = Stores(RecordRing(1)), RecordRing(10)
    stores.take({"plugin_state": ring})
    ring.append(state("told"))
    stores.sampled["plugin_state"].append(state("sampled"))
    found = stores.of("plugin_state").since(0, 10).records
    assert [record.get("plugin") for record in found] == ["told", "sampled"]
