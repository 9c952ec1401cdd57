"""The traffic source on the fixture capture, with and without the demo plugin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fixtures
from engine.core.clock import SystemClock, parse_rfc3339
from engine.core.errors import CaptureError
from engine.core.source import Logbook
from engine.traffic.inputs import CaptureInput
from engine.traffic.options import TrafficOptions
from engine.traffic.source import TrafficSource
from engine.wasm.host import WasmHost
from fixtures.captures.make_http_pcap import (
    API_CLIENT,
    BOX1_EXCHANGES,
    BOX1_PORT,
    CAPTURE,
    HTTP_EXCHANGES,
    HTTP_PORT,
    traceparent,
)
from tests.unit.wasm import wat
from tests.unit.wasm.calls import one_info
from tests.values import json_of
from tests.waiting import wait_until

DEMO = Path(fixtures.__file__).parent / "wasm" / "demo" / "demo.wasm"


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """A host with the demo plugin."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock))
    wasm.load(DEMO)
    yield wasm
    wasm.stop()


def source(capture: Path = CAPTURE, wasm: WasmHost | None = None, **options: Any) -> TrafficSource:
    """A traffic source that has not started."""
    clock = SystemClock()
    pace = {name: options.pop(name) for name in ("loop", "paced") if name in options}
    read = CaptureInput(clock, capture, **pace)
    return TrafficSource(
        clock, Logbook(clock), inputs=[read], wasm=wasm, options=TrafficOptions(**options)
    )


def messages(traffic: TrafficSource) -> list[dict[str, Any]]:
    """All messages so far."""
    return [dict(record.as_json()) for record in traffic.rings["l7_message"].since(0).records]


def totals_of(traffic: TrafficSource) -> dict[str, Any]:
    """The row of totals, in which every message must be one of the four sorts."""
    (row,) = traffic.tables()["traffic_state"]
    totals = json_of(row)
    sorts = ("answered", "unanswered", "unmatched", "single")
    assert totals["messages"] == sum(totals[name] for name in sorts)
    assert totals["messages"] == sum(totals["protocols"].values())
    return totals


def counted(traffic: TrafficSource) -> dict[str, Any]:
    """The counters, which must balance."""
    counters = traffic.status().counters
    assert counters.balanced
    return {"seen": counters.seen, "kept": counters.kept, "dropped": dict(counters.dropped)}


def test_every_http_exchange_of_the_scenario_is_a_message() -> None:
    traffic = source()
    traffic.run_once()
    found = [shown for shown in messages(traffic) if shown["protocol"] == "HTTP"]
    assert Counter((shown["request"], shown["status"]) for shown in found) == Counter(
        (f"{exchange.method} {exchange.path}", str(exchange.status)) for exchange in HTTP_EXCHANGES
    )
    assert {shown["dst"] for shown in found} == {f"127.0.0.1:{HTTP_PORT}"}
    assert {shown["parsed_by"] for shown in found} == {"built-in"}
    assert {shown["attributes"]["host"] for shown in found} == {"acme.shop.test"}
    assert {shown["source"] for shown in found} == {"pcap:http.pcap"}


def test_the_latency_is_the_servers_thinking_time_and_a_little() -> None:
    traffic = source()
    traffic.run_once()
    by_request = {shown["request"]: shown for shown in messages(traffic)}
    for exchange in API_CLIENT:
        latency = by_request[f"{exchange.method} {exchange.path}"]["latency_ms"]
        assert exchange.delay_ms <= latency < exchange.delay_ms + 10


def test_nothing_is_dropped_and_what_no_one_knows_has_one_row() -> None:
    traffic = source()
    traffic.run_once()
    unknown = [shown for shown in messages(traffic) if shown["protocol"] == "unknown"]
    assert [shown["dst"] for shown in unknown] == [f"127.0.0.1:{BOX1_PORT}"]
    assert unknown[0]["attributes"] == {"first_bytes": "BOX1 1 GET colour␊"}
    totals = counted(traffic)
    assert totals["seen"] == totals["kept"] > len(HTTP_EXCHANGES) * 2
    assert totals["dropped"] == {}


def test_every_message_is_counted_once_and_every_call_belongs_to_one(host: WasmHost) -> None:
    traffic = source(wasm=host)
    traffic.run_once()
    totals = totals_of(traffic)
    assert totals["messages"] == totals["answered"] == len(messages(traffic))
    assert totals["protocols"] == {"HTTP": len(HTTP_EXCHANGES), "BOX1": len(BOX1_EXCHANGES)}
    assert (totals["attributes_dropped"], totals["missing_bytes"]) == (0, 0)
    results = host.status().counters
    assert results.balanced
    assert results.seen == len(host.rings["wasm_result"].since(0).records)


def test_attributes_there_is_no_room_for_are_counted(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(attributes=[{"key": f"k{number}", "val": "v"} for number in range(70)])
    rewriting = wat.plugin(
        hooks=wat.HTTP_REQUEST, result=result, request=wat.send_result(result) + wat.STOP
    )
    host.stop()
    host.load(wat.save(tmp_path, rewriting))
    traffic = source(wasm=host)
    traffic.run_once()
    dropped = [shown["attributes_dropped"] for shown in messages(traffic)]
    assert max(dropped) > 0
    assert totals_of(traffic)["attributes_dropped"] == sum(dropped)
    for shown in messages(traffic):
        if shown["parsed_by"] == "built-in+plugin":
            given = [name for name in shown["attributes"] if name.startswith("k")]
            assert len(given) + shown["attributes_dropped"] == 70


def test_the_demo_plugin_enriches_http(host: WasmHost) -> None:
    traffic = source(wasm=host)
    traffic.run_once()
    by_request = {shown["request"]: shown for shown in messages(traffic)}
    for exchange in HTTP_EXCHANGES:
        shown = by_request[f"{exchange.method} {exchange.path}"]
        attributes = shown["attributes"]
        assert shown["parsed_by"] == ("built-in+demo" if exchange.endpoint else "built-in")
        assert attributes.get("endpoint", "") == exchange.endpoint
        if exchange.trace:
            _, trace_id, span_id, _ = traceparent(exchange.trace).split("-")
            assert (attributes["trace_id"], attributes["span_id"]) == (trace_id, span_id)


def test_messages_and_calls_find_each_other(host: WasmHost) -> None:
    traffic = source(wasm=host)
    traffic.run_once()
    results = [json_of(result) for result in host.rings["wasm_result"].since(0).records]
    calls_of = {message["seq"]: set(message["wasm_calls"]) for message in messages(traffic)}
    for result in results:
        assert result["messages"], result
        for number in result["messages"]:
            assert result["seq"] in calls_of[number]
    joined = [(number, call) for number, calls in calls_of.items() for call in calls]
    assert len(joined) == sum(len(result["messages"]) for result in results)


def test_a_message_tells_what_the_plugin_changed_and_in_which_call(host: WasmHost) -> None:
    traffic = source(wasm=host)
    traffic.run_once()
    by_seq = {record.seq: json_of(record) for record in host.rings["wasm_result"].since(0).records}
    enriched = [shown for shown in messages(traffic) if shown["parsed_by"] == "built-in+demo"]
    assert enriched
    for shown in enriched:
        for change in shown["merged"]:
            result = by_seq[change["call"]]
            told = {name: change[name] for name in ("field", "before", "after")}
            assert told in result["merged"]
            assert change["plugin"] == result["plugin"] == "demo"


def test_the_demo_plugin_parses_box1(host: WasmHost) -> None:
    traffic = source(wasm=host)
    traffic.run_once()
    found = [shown for shown in messages(traffic) if shown["protocol"] == "BOX1"]
    assert len(found) == len(BOX1_EXCHANGES)
    for exchange, shown in zip(BOX1_EXCHANGES, found, strict=True):
        verdict, _, text = exchange.answer.partition(" ")
        assert shown["request"] == f"{exchange.verb} {exchange.key}"
        assert shown["status"] == ("ok" if verdict == "OK" else "server error")
        assert shown["attributes"].get("result" if verdict == "OK" else "exception", "") == text
        assert shown["latency_ms"] >= exchange.delay_ms
        assert shown["parsed_by"] == "demo"
    assert len(messages(traffic)) == len(HTTP_EXCHANGES) + len(BOX1_EXCHANGES)


def test_every_call_is_recorded_and_counted(host: WasmHost) -> None:
    traffic = source(wasm=host, order="agent")
    traffic.run_once()
    calls = Counter(
        (record.get("export"), record.get("action"))
        for record in host.rings["wasm_result"].since(0).records
    )
    passed_on = sum(not exchange.endpoint for exchange in HTTP_EXCHANGES)
    connections = len({shown["src"] for shown in messages(traffic)})
    assert calls[("on_http_req", "next")] == passed_on
    assert calls[("on_http_req", "result")] == len(HTTP_EXCHANGES) - passed_on
    assert calls[("check_payload", "result")] == 1
    assert calls[("check_payload", "next")] == connections - 1
    wasm = host.status().counters
    assert wasm.seen == wasm.kept == sum(calls.values())
    assert counted(traffic)["dropped"] == {}


def test_a_plugin_that_traps_costs_no_message(host: WasmHost, tmp_path: Path) -> None:
    broken = wat.plugin(request=wat.TRAP, check=wat.TRAP, hooks=wat.ALL_HOOKS, response=wat.TRAP)
    host.stop()
    host.load(wat.save(tmp_path, broken))
    traffic = source(wasm=host)
    traffic.run_once()
    statuses = [shown["status"] for shown in messages(traffic) if shown["protocol"] == "HTTP"]
    assert len(statuses) == len(HTTP_EXCHANGES)
    assert set(host.status().counters.dropped) == {"trap"}


def test_a_claim_that_no_plugin_can_parse_is_counted(host: WasmHost, tmp_path: Path) -> None:
    claiming = wat.plugin(check="(i32.const 5)", hooks=wat.PAYLOAD)
    host.stop()
    host.load(wat.save(tmp_path, claiming))
    traffic = source(wasm=host, order="agent")
    traffic.run_once()
    totals = counted(traffic)
    assert messages(traffic) == []
    assert totals["dropped"] == {"not_parsed": totals["seen"]}


def test_a_response_hook_can_rewrite_the_status(host: WasmHost, tmp_path: Path) -> None:
    result = bytes.fromhex("001b000000008000000c0004010000019400026e6f0000000000000000")
    rewriting = wat.plugin(
        hooks=wat.HTTP_RESPONSE, result=result, response=wat.send_result(result) + wat.STOP
    )
    host.stop()
    host.load(wat.save(tmp_path, rewriting, "rewriter"))
    traffic = source(wasm=host)
    traffic.run_once()
    found = [shown for shown in messages(traffic) if shown["protocol"] == "HTTP"]
    assert {(shown["status"], shown["attributes"]["result"]) for shown in found} == {("404", "no")}
    assert {shown["parsed_by"] for shown in found} == {"built-in+rewriter"}


def test_a_cut_capture_gives_what_was_whole_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "cut.pcap"
    path.write_bytes(CAPTURE.read_bytes()[:10_000])
    traffic = source(path)
    with pytest.raises(CaptureError, match="middle of packet"):
        traffic.run_once()
    assert len(messages(traffic)) > 5
    assert counted(traffic)["dropped"] == {}


def test_the_thread_reads_to_the_end_and_says_so() -> None:
    traffic = source()
    traffic.start()
    assert traffic.wait_done(30)
    traffic.stop()
    traffic.stop()
    assert len(messages(traffic)) > len(HTTP_EXCHANGES)
    assert traffic.status().state == "off"
    assert "read to its end" in traffic.status().reason


def test_a_capture_that_is_missing_or_broken_degrades_the_source_alone(tmp_path: Path) -> None:
    absent = source(tmp_path / "absent.pcap")
    cut = tmp_path / "cut.pcap"
    cut.write_bytes(CAPTURE.read_bytes()[:10_000])
    broken = source(cut)
    for traffic, state, reason in (
        (absent, "failed", "No such file"),
        (broken, "degraded", "middle of packet"),
    ):
        traffic.start()
        assert traffic.wait_done(30)
        traffic.stop()
        assert traffic.status().state == state
        assert reason in traffic.status().reason
        assert traffic.status().fix


def begin_of_fixture(folder: Path, packets: int) -> Path:
    """The first packets of the fixture as a capture of their own."""
    content = CAPTURE.read_bytes()
    end = 24
    for _ in range(packets):
        end += 16 + int.from_bytes(content[end + 8 : end + 12], "little")
    path = folder / "begin.pcap"
    path.write_bytes(content[:end])
    return path


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """About half a second of traffic."""
    return begin_of_fixture(tmp_path, 40)


def test_a_request_without_answer_is_shown_at_the_end_of_the_capture(tmp_path: Path) -> None:
    traffic = source(begin_of_fixture(tmp_path, 4))
    traffic.run_once()
    (shown,) = messages(traffic)
    assert (shown["request"], shown["status"], shown["latency_ms"]) == ("GET /health", "", None)


def test_paced_reading_takes_as_long_as_the_traffic(short: Path) -> None:
    fast = source(short)
    fast.run_once()
    stamps = [parse_rfc3339(shown["ts"]) for shown in messages(fast)]
    clock = SystemClock()
    paced = source(short, paced=True)
    began = clock.monotonic_ns()
    paced.run_once()
    assert clock.monotonic_ns() - began >= max(stamps) - min(stamps)
    assert [shown["ts"] for shown in messages(paced)] == [shown["ts"] for shown in messages(fast)]


def test_looping_goes_on_with_the_times_of_now(short: Path) -> None:
    once = source(short)
    once.run_once()
    in_one_pass = len(messages(once))
    traffic = source(short, loop=True)
    began = SystemClock().wall_ns()
    traffic.start()
    wait_until(lambda: len(messages(traffic)) > in_one_pass, 30)
    traffic.stop()
    assert traffic.status().state == "off"
    assert all(parse_rfc3339(shown["ts"]) >= began for shown in messages(traffic))
    assert counted(traffic)["dropped"] == {}


def test_stopping_does_not_wait_for_the_capture() -> None:
    clock = SystemClock()
    traffic = source(paced=True)
    traffic.start()
    wait_until(lambda: traffic.status().counters.seen)
    began = clock.monotonic_ns()
    traffic.stop()
    assert clock.monotonic_ns() - began < 2_000_000_000
    assert counted(traffic)["seen"] < 60


def test_a_fault_of_ours_ends_the_source_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("engine.traffic.dissect.Dissector.take", broken)
    traffic = source()
    traffic.start()
    assert traffic.wait_done(30)
    traffic.stop()
    assert traffic.status().state == "failed"
    assert "ZeroDivisionError" in traffic.status().reason
