"""The author's loop: build again, see what changed for the same messages; try other bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import pytest

from engine.core.errors import WasmError
from engine.wasm.host import WasmHost
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, ask, load, logged, one_info, records, row
from tests.waiting import wait_until

MakeHost = Callable[..., WasmHost]


class Answering(TypedDict):
    """What such a plugin is built of."""

    result: bytes
    request: str


def answering(endpoint: str) -> Answering:
    """A plugin that gives every request this endpoint."""
    result = one_info(req={"endpoint": endpoint})
    return {"result": result, "request": wat.send_result(result) + wat.STOP}


def test_a_reloaded_plugin_is_offered_its_last_messages_again(
    host_with: MakeHost, tmp_path: Path
) -> None:
    host = host_with(reruns=2)
    load(host, tmp_path, **answering("/old"))
    for number in range(3):
        ask(host, b"%d" % number)
    load(host, tmp_path, **answering("/new"))
    again = records(host)[3:]
    assert [call["rerun_of"] for call in again] == [2, 3]
    assert [bytes.fromhex(call["payload"]) for call in again] == [b"1", b"2"]
    assert again[0]["differs"] == [
        {"field": "infos[0].request.endpoint", "before": "/old", "after": "/new"}
    ]
    assert any("2 messages were offered again, 2 with another result" in t for t in logged(host))
    assert row(host)["calls"] == 0


def test_the_same_plugin_again_gives_the_same_results(host: WasmHost, tmp_path: Path) -> None:
    name = load(host, tmp_path, **answering("/e"))
    ask(host)
    assert host.reload(name) == name
    assert records(host)[1]["differs"] == []
    assert host.status().counters.seen == 2


def test_messages_wait_for_a_file_that_was_refused_to_be_mended(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, **answering("/old"))
    ask(host)
    with pytest.raises(WasmError):
        host.load(wat.save(tmp_path, b"broken"))
    assert row(host)["state"] == "failed"
    load(host, tmp_path, **answering("/new"))
    assert records(host)[1]["differs"][0]["after"] == "/new"


def test_a_changed_file_is_loaded_without_being_asked(host_with: MakeHost, tmp_path: Path) -> None:
    host = host_with(watch=True)
    load(host, tmp_path, **answering("/old"))
    ask(host)
    wat.save(tmp_path, b"broken")
    wait_until(lambda: row(host)["state"] == "failed")
    wat.save(tmp_path, wat.plugin(**answering("/new")))
    wait_until(lambda: row(host)["state"] == "loaded")
    wait_until(lambda: len(records(host)) == 2)
    assert records(host)[1]["differs"][0]["after"] == "/new"


def test_a_file_that_never_was_a_module_is_not_watched(host_with: MakeHost, tmp_path: Path) -> None:
    """The other plugin's reload shows that the watcher has looked since."""
    host = host_with(watch=True)
    load(host, tmp_path, "other", **answering("/old"))
    ask(host)
    with pytest.raises(WasmError, match="not a WebAssembly module"):
        host.load(wat.save(tmp_path, b"text", "never"))
    for name in ("never", "other"):
        wat.save(tmp_path, wat.plugin(**answering("/new")), name)
    wait_until(lambda: len(records(host)) == 2)
    assert [each.get("plugin") for each in host.tables()["wasm_plugin"]] == ["other"]


def test_an_unloaded_plugin_is_not_called_any_more_and_its_calls_stay_readable(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, "gone", **answering("/gone"))
    load(host, tmp_path, "left", **answering("/left"))
    ask(host, b"payload")
    host.unload("gone")
    outcome = ask(host)
    assert outcome is not None
    assert outcome.plugin == "left"
    assert [call["plugin"] for call in records(host)] == ["gone", "left"]
    assert row(host)["plugin"] == "left"
    assert host.payload(1) == b"payload"
    with pytest.raises(WasmError, match="no Wasm plugin gone is loaded"):
        host.rerun(1)
    with pytest.raises(WasmError, match="no Wasm plugin gone is loaded"):
        host.unload("gone")


def test_the_payload_of_a_call_that_is_not_kept_is_unknown(host: WasmHost) -> None:
    assert host.payload(1) is None


def test_without_the_plugin_that_failed_the_host_is_well_again(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, "good")
    with pytest.raises(WasmError):
        host.load(wat.save(tmp_path, b"\0asm", "bad"))
    assert host.status().state == "degraded"
    host.unload("bad")
    assert host.status().state == "running"


def test_the_file_of_an_unloaded_plugin_is_not_loaded_when_it_changes(
    host_with: MakeHost, tmp_path: Path
) -> None:
    """The other plugin's reload shows that the watcher has looked since."""
    host = host_with(watch=True)
    load(host, tmp_path, "gone", **answering("/old"))
    load(host, tmp_path, "other", **answering("/old"))
    ask(host)
    host.unload("gone")
    said = len(logged(host))
    for name in ("gone", "other"):
        wat.save(tmp_path, wat.plugin(**answering("/new")), name)
    wait_until(lambda: any("Wasm plugin other loaded" in text for text in logged(host)[said:]))
    assert row(host)["plugin"] == "other"


def test_a_file_that_is_gone_leaves_its_plugin_alone(host_with: MakeHost, tmp_path: Path) -> None:
    """The second plugin's reload shows that the watcher has looked since."""
    host = host_with(watch=True)
    load(host, tmp_path, "gone")
    load(host, tmp_path, "other", request=wat.TRAP)
    (tmp_path / "gone.wasm").unlink()
    wat.save(tmp_path, b"broken", "other")
    wait_until(lambda: host.tables()["wasm_plugin"][1].get("state") == "failed")
    assert host.tables()["wasm_plugin"][0].get("state") == "loaded"


LOG = wat.log_payload() + wat.NEXT


def test_a_message_can_be_offered_again_with_other_bytes(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request=LOG)
    ask(host, b"hello")
    (seq,) = host.rerun(1, payload=b"other " + bytes(2_000))
    call = records(host)[seq - 1]
    assert (call["rerun_of"], call["context"]["buffer_size"]) == (1, 2_006)
    assert call["logs"][0].startswith("info: other ␀")
    assert call["differs"][0]["before"] == "info: hello"
    assert row(host)["calls"] == 1


def test_a_message_can_be_cut_at_several_points(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request=LOG)
    ask(host, b"hello")
    assert host.rerun(1, cuts=(0, 2, 99)) == (2, 3, 4)
    assert [call["logs"] for call in records(host)] == [
        ["info: hello"],
        ["info: "],
        ["info: he"],
        ["info: hello"],
    ]
    assert records(host)[3]["differs"] == []


def test_a_rerun_has_an_instance_of_its_own(host: WasmHost, tmp_path: Path) -> None:
    """The plugin returns how often it was called, so that a kept instance would show."""
    count = "(global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)"
    extra = "(global $n (mut i32) (i32.const -1))"
    load(host, tmp_path, request=count, extra=extra)
    ask(host)
    host.rerun(1)
    ask(host)
    assert [call["returned"] for call in records(host)] == [0, 0, 1]


def test_a_trap_in_a_rerun_leaves_the_plugin_alone(host: WasmHost, tmp_path: Path) -> None:
    body = (
        f"(if (i32.eqz (call $payload (i32.const {wat.BUFFER_AT}) (i32.const 100)))"
        " (then unreachable)) (i32.const 0)"
    )
    load(host, tmp_path, request=body)
    ask(host, b"x")
    host.rerun(1, payload=b"")
    assert records(host)[1]["action"] == "trap"
    assert (row(host)["traps"], row(host)["state"]) == (0, "loaded")


def test_what_cannot_be_run_again_is_said(host: WasmHost, tmp_path: Path) -> None:
    with pytest.raises(WasmError, match="call 1 is not kept"):
        host.rerun(1)
    load(host, tmp_path)
    ask(host)
    with pytest.raises(WasmError):
        host.load(wat.save(tmp_path, b"broken"))
    with pytest.raises(WasmError, match="is not loaded"):
        host.rerun(1)
    with pytest.raises(WasmError, match="no Wasm plugin absent"):
        host.reload("absent")


def test_a_parse_is_repeated_with_its_number_and_name(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(req={"type": "GET"})
    load(host, tmp_path, result=result, parse=wat.send_result(result) + wat.STOP)
    host.parse_payload(BASE, b"x", 9, "BOX1")
    host.rerun(1)
    first, again = records(host)
    assert first["merged"][0] == {"field": "protocol", "before": None, "after": "BOX1"}
    assert again["merged"] == first["merged"]
    assert again["context"]["l7"] == 9
