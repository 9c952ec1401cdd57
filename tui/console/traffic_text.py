"""What the console says about messages and Wasm plugins, on one line each."""

from __future__ import annotations

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import value_text
from tui.console.values import whole
from tui.console.widgets.columns import Tone

UNREADABLE = "encrypted: the content cannot be read here"
_SEALED = "TLS"
"""The protocol whose content nobody here can read."""


def is_unreadable(message: Record) -> bool:
    """Whether a message is encrypted, so that only its protocol is known."""
    return message.get("protocol") == _SEALED


def side_text(message: Record, side: str) -> str:
    """Name and pid of the process at one end, `client` or `server`; empty if unknown."""
    pid, comm = whole(message.get(f"{side}_pid")), message.get(f"{side}_comm")
    name = clean(str(comm or ""))
    return name if pid is None else f"{name}/{pid}"


def ends_text(message: Record) -> str:
    """Who speaks with whom: `curl/12 → nginx/7:80`; addresses where processes are unknown.

    The port of a client tells nothing about it, and takes the room of the server's.
    """
    known = message.get("client_pid") is not None
    client = (
        side_text(message, "client") if known else _end_text(message, "client", message.get("src"))
    )
    return f"{client} → {_end_text(message, 'server', message.get('dst'))}"


def _end_text(message: Record, side: str, address: JsonValue) -> str:
    process, shown = side_text(message, side), value_text(address)
    _host, colon, port = shown.rpartition(":")
    return f"{process}{colon}{port if colon else ''}" if process else shown


def flow_text(message: Record) -> str:
    """The addresses of client and server."""
    return f"{value_text(message.get('src'))} → {value_text(message.get('dst'))}"


def parser_text(message: Record) -> str:
    """Who made the message of the bytes; for what is encrypted, that nobody can."""
    return "unreadable here" if is_unreadable(message) else value_text(message.get("parsed_by"))


def request_text(message: Record) -> str:
    """What was asked; of what is encrypted, that it is."""
    text = clean(str(message.get("request") or ""))
    return f"{text} (encrypted)".lstrip() if is_unreadable(message) else text


def wasm_state_text(plugin: Record) -> str:
    """The state of a Wasm plugin with its symbol, and what traps have done to it."""
    state = clean(str(plugin.get("state") or ""))
    poisoned, renewed = whole(plugin.get("poisoned")), whole(plugin.get("renewed"))
    if state != "loaded":
        return f"✗ {state}"
    if poisoned:
        left = whole(plugin.get("traps_left"))
        return f"! poisoned {poisoned}" + ("" if left is None else f", {left} left")
    return f"↻ renewed {renewed}" if renewed else "● running"


def wasm_state_tone(plugin: Record) -> Tone:
    """How the state is emphasised."""
    if plugin.get("state") != "loaded" or plugin.get("poisoned"):
        return "bad"
    return "warn" if plugin.get("renewed") else "good"
