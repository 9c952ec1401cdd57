"""Several plugins in one chain: who is asked, what is passed on, what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.errors import WasmError
from engine.wasm.abi import L7_GRPC, L7_HTTP1, L7_HTTP2, L7_TRIPLE, CustomMessage
from engine.wasm.custom import NATS, ZMTP, nats_message, zmtp_message
from engine.wasm.host import WasmHost
from engine.wasm.outcome import Claim, Outcome
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, REQUEST, ask, load, logged, one_info, records, row

ZMTP_ONLY, NATS_RESPONSES, EVERYTHING = 0x6A, 0x10068, 0x00FF_0000_0000_0000
NATS_MESSAGE = nats_message("svc.Get", "_INBOX.1", b"x")
ZMTP_MESSAGE = zmtp_message("", b"x")


def load_custom(host: WasmHost, folder: Path, wanted: int, body: str = wat.STOP) -> None:
    """Load a plugin for custom messages."""
    extra = wat.custom(wanted, body)
    load(host, folder, f"wants-{wanted:x}", hooks=wat.CUSTOM_MESSAGE, extra=extra)


@pytest.mark.parametrize(
    ("wanted", "message", "called"),
    [
        (ZMTP_ONLY, ZMTP_MESSAGE, True),
        (ZMTP_ONLY, NATS_MESSAGE, False),
        (NATS_RESPONSES, NATS_MESSAGE, False),
        (EVERYTHING, NATS_MESSAGE, True),
        (0, CustomMessage(0), True),
        (0, NATS_MESSAGE, False),
    ],
)
def test_a_custom_message_goes_to_plugins_whose_filter_equals_it(
    host: WasmHost, tmp_path: Path, wanted: int, message: CustomMessage, called: bool
) -> None:
    load_custom(host, tmp_path, wanted)
    outcome = host.on_custom_message(BASE, message, b"x")
    assert (outcome is not None) is called
    assert len(records(host)) == called


def test_the_row_names_the_filter(host: WasmHost, tmp_path: Path) -> None:
    for wanted in (ZMTP_ONLY, NATS_RESPONSES, EVERYTHING):
        load_custom(host, tmp_path, wanted)
    filters = [record.get("custom_filter") for record in host.tables()["wasm_plugin"]]
    assert filters == ["ZMTP", "type 0x10068", "everything"]


def test_a_hook_bit_without_the_function_or_without_a_filter_means_nothing(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, "no-function", hooks=wat.CUSTOM_MESSAGE)
    null = '(func (export "get_custom_message_hook") (result i32) (i32.const 0))'
    hook = '(func (export "on_custom_message") (result i32) (i32.const 1))'
    load(host, tmp_path, "no-filter", hooks=wat.CUSTOM_MESSAGE, extra=null + hook)
    assert host.on_custom_message(BASE, NATS_MESSAGE, b"") is None


def test_a_custom_message_is_read_as_the_agent_writes_it(host: WasmHost, tmp_path: Path) -> None:
    size = f"(call $custom (i32.const {wat.BUFFER_AT}) (i32.const 65536))"
    body = f"(call $log (i32.const {wat.BUFFER_AT}) {size} (i32.const 0))" + wat.NEXT
    load_custom(host, tmp_path, EVERYTHING, body)
    host.on_custom_message(BASE, NATS_MESSAGE, b"")
    (call,) = records(host)
    assert "svc.Get" in call["logs"][0]
    assert call["context"]["type_code"] == NATS
    assert call["context"]["custom_message"] == NATS_MESSAGE.message.hex()


def test_of_a_zmtp_result_only_attributes_and_the_name_count(
    host: WasmHost, tmp_path: Path
) -> None:
    result = one_info(
        req={"endpoint": "ignored"}, protocol_str="mine", attributes=[{"key": "k", "val": "v"}]
    )
    extra = wat.custom(ZMTP, wat.send_result(result) + wat.STOP)
    load(host, tmp_path, hooks=wat.CUSTOM_MESSAGE, result=result, extra=extra)
    host.on_custom_message(BASE, ZMTP_MESSAGE, b"")
    assert records(host)[0]["merged"] == [
        {"field": "protocol", "before": "ZMTP", "after": "mine"},
        {"field": "attributes", "before": None, "after": {"k": "v"}},
    ]


def test_hooks_are_asked_in_the_order_of_loading_until_one_stops(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, "first", request=wat.TRAP)
    load(host, tmp_path, "second", request="(i32.const -1)")
    load(host, tmp_path, "third")
    load(host, tmp_path, "fourth", request=wat.STOP)
    load(host, tmp_path, "fifth", request=wat.STOP)
    assert ask(host) == Outcome("fourth", ())
    assert [(call["plugin"], call["action"]) for call in records(host)] == [
        ("first", "trap"),
        ("second", "error"),
        ("third", "next"),
        ("fourth", "abort"),
    ]


def test_what_a_plugin_sent_before_it_trapped_is_found_by_the_next(
    host: WasmHost, tmp_path: Path
) -> None:
    result = one_info(request_id=5)
    load(host, tmp_path, "trapping", result=result, parse=wat.send_result(result) + wat.TRAP)
    load(host, tmp_path, "second", parse=wat.STOP)
    outcome = host.parse_payload(BASE, b"x", 1)
    assert outcome is not None
    assert outcome.infos[0].request_id == 5


def test_a_check_is_passed_on_until_somebody_claims_the_payload(
    host: WasmHost, tmp_path: Path
) -> None:
    string = b"\x00\x04KRPC"
    load(host, tmp_path, "wrong", check="(i32.const 769)")
    load(host, tmp_path, "not-mine")
    claim = wat.send_string(string) + "(i32.const 513)"
    load(host, tmp_path, "mine", string=string, check=claim)
    load(host, tmp_path, "never-asked", check="(i32.const 1)")
    assert host.check_payload(BASE, b"xx") == Claim("mine", 1, "KRPC", 1)
    assert [(call["plugin"], call["action"]) for call in records(host)] == [
        ("wrong", "error"),
        ("not-mine", "next"),
        ("mine", "result"),
    ]


def test_an_outcome_and_a_claim_name_their_call(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, "first")
    load(host, tmp_path, "second", request=wat.STOP, check="(i32.const 7)")
    outcome, claim = ask(host), host.check_payload(BASE, b"xx")
    assert outcome is not None
    assert claim is not None
    assert (outcome.seq, claim.seq) == (2, 4)
    assert records(host)[outcome.seq - 1]["plugin"] == "second"


def test_a_parse_without_infos_is_a_success_without_logs(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, "next")
    assert host.parse_payload(BASE, b"x", 1) is None
    load(host, tmp_path, "abort", parse=wat.STOP)
    assert host.parse_payload(BASE, b"x", 1) == Outcome("abort", ())


@pytest.mark.parametrize("number", [L7_HTTP1, L7_HTTP2, L7_GRPC, L7_TRIPLE])
def test_http_hooks_see_the_number_of_the_protocol(
    host: WasmHost, tmp_path: Path, number: int
) -> None:
    request = (
        f"(drop (call $base (i32.const {wat.BUFFER_AT}) (i32.const 1024)))"
        f"(i32.eq (i32.load8_u (i32.const {wat.BUFFER_AT + 14})) (i32.const {number}))"
    )
    load(host, tmp_path, request=request)
    assert host.on_http_req(BASE, REQUEST, b"", l7=number) == Outcome("plugin", ())
    assert records(host)[0]["context"]["l7"] == number


def test_a_record_holds_the_whole_call(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(req={"endpoint": "/new", "type": "SHOUT"}, biz_code="b")
    request = wat.log_payload() + wat.send_result(result) + wat.STOP
    load(host, tmp_path, result=result, request=request)
    host.on_http_req(replace(BASE, flow_id=7), REQUEST, b"GET /path HTTP/1.1\r\n\r\n")
    (call,) = records(host)
    assert call["returned"] == 1
    assert call["payload"] == b"GET /path HTTP/1.1\r\n\r\n".hex()
    assert call["result_bytes"] == result.hex()
    assert call["dialect"] == "g5"
    assert call["memory"] == 4 * 65_536
    assert call["context"]["src"] == "127.0.0.1:40000"
    assert call["context"]["flow_id"] == 7
    assert call["host_calls"] == [
        f"vm_read_payload({wat.BUFFER_AT:#x}, 65536) = 22",
        f"host_read_l7_protocol_info({wat.RESULT_AT:#x}, {len(result)}) = 1",
    ]
    assert call["merged"] == [
        {"field": "endpoint", "before": "/path", "after": "/new"},
        {"field": "biz_code", "before": None, "after": "b"},
    ]


def test_a_faithful_host_takes_ten_plugins(
    host_with: Callable[..., WasmHost], tmp_path: Path
) -> None:
    host = host_with(faithful=True)
    for number in range(10):
        load(host, tmp_path, f"plugin{number}")
    with pytest.raises(WasmError, match="10 plugins at most"):
        load(host, tmp_path, "one-more")
    load(host, tmp_path, "plugin3", request=wat.STOP)
    assert ask(host) == Outcome("plugin3", ())


def test_any_other_host_takes_more_and_says_that_an_agent_would_not(
    host: WasmHost, tmp_path: Path
) -> None:
    for number in range(10):
        load(host, tmp_path, f"plugin{number}")
    assert not any("an agent takes 10" in text for text in logged(host))
    load(host, tmp_path, "one-more")
    assert any("11 Wasm plugins are loaded; an agent takes 10" in text for text in logged(host))


def test_the_row_counts_by_export(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request=wat.TRAP, result=b"\0", parse=wat.send_result(b"\0") + wat.STOP)
    ask(host)
    for _ in range(3):
        host.parse_payload(BASE, b"x", 1)
    shown = row(host)
    by_export = {each["export"]: each for each in shown["exports"]}
    assert by_export["on_http_req"]["traps"] == 1
    assert (by_export["parse_payload"]["calls"], by_export["parse_payload"]["rejected"]) == (3, 3)
    assert 0 < by_export["parse_payload"]["p50_us"] <= by_export["parse_payload"]["p99_us"]
    assert (shown["calls"], shown["traps"], shown["rejected"]) == (4, 1, 3)
