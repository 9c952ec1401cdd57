"""What the inspector says about one call."""

from __future__ import annotations

import pytest

from engine.core.fields import JsonValue
from tests.ui.wasm_calls import call, message, repetition
from tui.console.call_text import (
    change_lines,
    compared_text,
    decision_lines,
    facts_sections,
    outcome_text,
    output_sections,
    result_sections,
    sections_content,
)

EVIL = "[/red]\x1b[31m"


def test_the_facts_name_hook_action_time_memory_and_what_the_plugin_could_read() -> None:
    shown = sections_content(facts_sections(call())).plain
    for evidence in (
        "on_http_req   HTTP request",
        "result   stopped the chain with a result",
        "12.3µs",
        "not measured",
        "65.5kB",
        "192.0.2.1:40000",
        "255   captured packets",
    ):
        assert evidence in shown
    assert "Remarks" not in shown


def test_the_check_of_a_payload_claims_or_does_not() -> None:
    claimed = sections_content(facts_sections(call(export="check_payload"))).plain
    assert "claimed the protocol" in claimed
    passed = sections_content(facts_sections(call(export="check_payload", action="next"))).plain
    assert "not its protocol" in passed


def test_fuel_is_shown_where_it_is_measured() -> None:
    assert "1,234,567 instructions" in sections_content(facts_sections(call(fuel=1_234_567))).plain


def test_remarks_for_the_author_are_shown() -> None:
    shown = sections_content(facts_sections(call(remarks=["only the last one is merged"]))).plain
    assert "! only the last one is merged" in shown


def test_a_call_that_ran_into_the_deadline_would_have_blocked_an_agent() -> None:
    hung = call(action="trap", returned=None, error="on_http_req: deadline of 100 ms exceeded")
    shown = sections_content(facts_sections(hung)).plain
    assert "✗ on_http_req: deadline of 100 ms" in shown
    assert "would hang for good" in shown


def test_the_result_is_shown_decoded_as_a_difference_and_as_bytes() -> None:
    shown = sections_content(result_sections(call())).plain
    for evidence in (
        "Decoded, dialect g5",
        "request.endpoint",
        "/new",
        "attributes.k",
        "endpoint\n  - before /a\n  + after  /new",
        "Result, 9 bytes",
        "000000  00 07 50 42 2e 2e 2e 2e  78",
        "..PB....x",
    ):
        assert evidence in shown
    assert "Compared" not in shown


def test_a_call_without_a_result_says_so() -> None:
    nothing = call(action="next", infos=[], dialect="", merged=[], result_bytes="")
    shown = sections_content(result_sections(nothing)).plain
    assert "Decoded\nnothing" in shown
    assert "nothing changes" in shown
    assert "nothing was sent" in shown


def test_several_infos_are_told_apart() -> None:
    infos: list[JsonValue] = [{"request": {"type": "A"}}, {"request": {"type": "B"}}]
    shown = sections_content(result_sections(call(infos=infos))).plain
    assert "info 1 of 2\nrequest.type" in shown
    assert "info 2 of 2\nrequest.type" in shown


def test_a_repetition_says_what_came_out_differently() -> None:
    shown = sections_content(result_sections(repetition(3))).plain
    assert "Compared with call 3\ninfos[0].request.endpoint\n  - before /new" in shown
    assert (
        "Compared with call 3\nthe same"
        in sections_content(result_sections(repetition(3, after=""))).plain
    )


def test_logs_output_and_backtrace_are_told_apart() -> None:
    logs: list[JsonValue] = [
        "info: hello",
        "fault: vm_read_payload: too small",
        "stdout: printed",
        "frame: main.parse at main.go:7",
    ]
    shown = sections_content(output_sections(call(logs=logs))).plain
    for evidence in (
        "Logs\ninfo: hello\n",
        "stdout and stderr (an agent discards them)\nprinted\n",
        "Host calls that failed or were stubbed\nfault: vm_read_payload: too small\n",
        "Backtrace\nmain.parse at main.go:7\n",
        "Host calls\nvm_read_payload(0x10, 64) = 28",
    ):
        assert evidence in shown


def test_a_plugin_that_said_nothing_has_no_backtrace() -> None:
    shown = sections_content(output_sections(call(logs=[]))).plain
    assert "Logs\nnone" in shown
    assert "Backtrace" not in shown


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "request.endpoint=/new attributes.k=v"),
        ({"error": "unreachable"}, "unreachable"),
        ({"infos": [], "logs": ["info: passed on"]}, "info: passed on"),
        ({"infos": [], "logs": []}, ""),
    ],
)
def test_the_outcome_is_one_line(values: dict[str, JsonValue], text: str) -> None:
    assert outcome_text(call(**values)) == text


def test_a_comparison_is_one_line() -> None:
    assert compared_text(repetition(1, after="")) == "the same"
    assert compared_text(repetition(1)) == ("1 differs: infos[0].request.endpoint: /new → /newer")


def test_a_change_of_a_message_says_who_made_it() -> None:
    change: dict[str, JsonValue] = {
        "field": "endpoint",
        "before": None,
        "after": "/new",
        "plugin": "mine",
        "call": 9,
    }
    first, before, after = change_lines([change])
    assert first.plain == "endpoint   by mine in call 9"
    assert before.plain == "  - before nothing"
    assert after.plain == "  + after  /new"


def test_hostile_text_stays_text() -> None:
    evil = call(
        plugin=EVIL,
        export=EVIL,
        action=EVIL,
        error=EVIL,
        logs=[EVIL, f"stdout: {EVIL}", f"frame: {EVIL}"],
        remarks=[EVIL],
        host_calls=[EVIL],
        dialect=EVIL,
        infos=[{EVIL: EVIL}],
        merged=[{"field": EVIL, "before": EVIL, "after": {EVIL: EVIL}, "plugin": EVIL}],
        differs=[{"field": EVIL, "before": EVIL, "after": [EVIL]}],
        rerun_of=1,
        payload=EVIL,
        result_bytes=EVIL,
        context={EVIL: EVIL},
    )
    for sections in (facts_sections(evil), result_sections(evil), output_sections(evil)):
        shown = sections_content(sections).plain
        assert "\x1b" not in shown
        assert "[/red]␛[31m" in shown
    assert "\x1b" not in outcome_text(evil) + compared_text(evil)


def test_without_a_message_of_the_flow_its_decision_is_unknown() -> None:
    (line,) = decision_lines(message())
    assert line.plain == "28 bytes client → server: http: yes"
    assert decision_lines(None)[0].plain == "no message of its flow is kept"
