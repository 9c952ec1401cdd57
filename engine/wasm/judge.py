"""What a call of a hook amounts to: its action, its fault, and what it claims."""

from __future__ import annotations

from typing import Literal, NamedTuple

from engine.wasm.abi import DecodeError, Verdict, decode_verdict
from engine.wasm.plugin import Call
from engine.wasm.runtime import WasmTrap

Action = Literal["next", "abort", "result", "trap", "error"]
DropReason = Literal["", "trap", "deadline", "rejected_result", "bad_return"]


class Judgement(NamedTuple):
    """One call, judged as the DeepFlow agent would."""

    action: Action
    error: str = ""
    reason: DropReason = ""
    """What it is counted as; empty for a call that decided something."""
    verdict: Verdict | None = None
    """What `check_payload` claims."""


def judge(call: Call) -> Judgement:
    """Judge a call; a trap or a refused result overrules what it returned."""
    plain = _judge_check(call) if call.export == "check_payload" else _judge_hook(call)
    if call.failure is not None:
        hung = isinstance(call.failure, WasmTrap) and call.failure.code == "deadline"
        return Judgement("trap", str(call.failure), "deadline" if hung else "trap")
    if call.journal.rejected:
        return plain._replace(action="error", error=call.journal.rejected, reason="rejected_result")
    return plain


def _judge_hook(call: Call) -> Judgement:
    match call.returned:
        case 0 | None:
            return Judgement("next")
        case 1:
            return Judgement("result" if call.infos else "abort")
    fault = f"{call.export} returned {call.returned}: must be 0 (next) or 1 (stop)"
    return Judgement("error", fault, "bad_return")


def _judge_check(call: Call) -> Judgement:
    if call.returned is None:
        return Judgement("next")
    try:
        verdict = decode_verdict(call.returned)
    except DecodeError as error:
        return Judgement("error", error.message, "bad_return")
    return Judgement("next" if verdict is None else "result", verdict=verdict)
