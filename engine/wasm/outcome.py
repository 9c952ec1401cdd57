"""What offering a message to the plugins came to: one stopped the chain, or claimed it."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.wasm.before import entry_after, entry_before
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info
from engine.wasm.merge import LogEntry


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plugin stopped the chain."""

    plugin: str
    infos: tuple[Info, ...]
    """What it, or a plugin before it, sent; empty = nothing is to be changed."""
    seq: int = field(default=0, compare=False)
    """Number of the call (`wasm_result`) that stopped it."""
    before: LogEntry = field(default=LogEntry(), compare=False)
    """The agent's log of the message without them."""
    after: tuple[LogEntry, ...] = field(default=(), compare=False)
    """The log with them: of `parse_payload` one for each info, otherwise one with the last."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A plugin recognised a payload protocol."""

    plugin: str
    number: int
    name: str
    """Sanitised."""
    direction: int
    """Whether the payload is a request (0) or a response (1)."""
    seq: int = field(default=0, compare=False)
    """Number of the call (`wasm_result`) that claimed it."""


def outcome_of(plugin: str, context: CallContext, seq: int) -> Outcome:
    """What stopping the chain came to."""
    infos = context.infos
    if not infos:
        return Outcome(plugin, (), seq)
    hooked = (context.request, context.response, context.custom)
    merged = [infos] if any(hooked) else [(info,) for info in infos]
    before = entry_before(context)
    after = tuple(entry_after(context, each, before) for each in merged)
    return Outcome(plugin, infos, seq, before, after)
