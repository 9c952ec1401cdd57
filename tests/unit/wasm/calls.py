"""What the tests of a host have in common: messages to offer and ways to look at what came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.wasm.abi import BaseContext, HttpRequest
from engine.wasm.host import WasmHost
from engine.wasm.outcome import Outcome
from engine.wasm.protobuf import AppInfo
from tests.unit.wasm import wat

BASE = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 80, 1_700_000_000_000_000)
REQUEST = HttpRequest(b"/path", b"host")


def one_info(**values: Any) -> bytes:
    """A result list of one protobuf record."""
    record = b"PB" + AppInfo(**values).SerializeToString()
    return len(record).to_bytes(2, "big") + record


def load(host: WasmHost, folder: Path, name: str = "plugin", **bodies: Any) -> str:
    """Build and load a plugin."""
    return host.load(wat.save(folder, wat.plugin(**bodies), name))


def ask(host: WasmHost, payload: bytes = b"payload") -> Outcome | None:
    """Offer an HTTP request."""
    return host.on_http_req(BASE, REQUEST, payload)


def records(host: WasmHost) -> list[dict[str, Any]]:
    """The calls so far."""
    shown = [record.as_json() for record in host.rings["wasm_result"].since(0).records]
    return [dict(record) for record in shown]


def row(host: WasmHost) -> dict[str, Any]:
    """The only plugin's row."""
    (record,) = host.tables()["wasm_plugin"]
    return dict(record.as_json())


def logged(host: WasmHost) -> list[str]:
    """What the host has to say."""
    return [str(record.get("text")) for record in host.logbook.ring.since(0).records]
