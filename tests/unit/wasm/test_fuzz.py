"""Results of every dialect, damaged: each is read or refused, and can be shown either way."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wasm.abi import (
    CLIENT_TO_SERVER,
    SERVER_TO_CLIENT,
    CustomMessage,
    DecodeError,
    HttpRequest,
    HttpResponse,
)
from engine.wasm.before import entry_after, entry_before
from engine.wasm.custom import PROTOCOL_NAMES
from engine.wasm.diff import changes
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info
from engine.wasm.journal import Journal
from engine.wasm.legacy import decode_http_result
from engine.wasm.merge import merge_session
from engine.wasm.plugin import Call
from engine.wasm.records import infos_as_json
from engine.wasm.remarks import remarks
from engine.wasm.results import decode_infos
from tests.unit.wasm.calls import BASE
from tests.unit.wasm.golden import GOLDEN

EXAMPLES = 150
SEEDS = {
    f"{vector['id']}": (bytes.fromhex(vector["hex"]), vector["direction"])
    for name in ("info_lists", "older_info_lists")
    for vector in GOLDEN[name]
}
HTTP_RESULT = b"\1\0\1t\0\1s\0\1p\0\1k\0\1v\0\0\0\1w"

damage = st.lists(
    st.tuples(st.sampled_from(["set", "insert", "remove"]), st.floats(0, 1), st.integers(0, 255)),
    max_size=4,
)


def damaged(content: bytes, done: list[tuple[str, float, int]]) -> bytes:
    """The bytes with some of them changed, added or taken away."""
    result = bytearray(content)
    for what, share, value in done:
        at = min(int(share * len(result)), max(0, len(result) - 1))
        if what == "insert":
            result.insert(at, value)
        elif result and what == "set":
            result[at] = value
        elif result:
            del result[at:]
    return bytes(result)


def look_at(infos: tuple[Info, ...], direction: int) -> None:
    """Show infos, and merge the last into every kind of message."""
    shown = json.dumps(infos_as_json(infos), ensure_ascii=False)
    assert not [char for char in shown if ord(char) < 0x20 or ord(char) == 0x7F]
    base = replace(BASE, direction=direction)
    contexts = {
        "on_http_req": CallContext(base, b"", request=HttpRequest(b"/")),
        "on_http_resp": CallContext(base, b"", response=HttpResponse(200)),
        "parse_payload": CallContext(base, b"", name="name"),
    }
    messages = list(contexts.items())
    messages += [
        ("on_custom_message", CallContext(base, b"", custom=CustomMessage(number)))
        for number in (*PROTOCOL_NAMES, 1)
    ]
    for export, context in messages:
        before, after = entry_before(context), entry_after(context, infos)
        json.dumps([change.as_json() for change in changes(before.as_json(), after.as_json())])
        json.dumps(merge_session(before, after).as_json())
        journal = Journal(sent_result=True, result=b"x")
        assert all(remarks(Call(export, context, 1, 1.0, journal, infos, b"", 0)))


@pytest.mark.fuzz("Wasm result decoders")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("any_sdk", [False, True])
@settings(deadline=None, max_examples=EXAMPLES)
@given(done=damage, turned=st.booleans())
def test_a_damaged_result_is_read_or_refused(
    seed: str, any_sdk: bool, done: list[tuple[str, float, int]], turned: bool
) -> None:
    whole, direction = SEEDS[seed]
    if turned:
        direction = SERVER_TO_CLIENT if direction == CLIENT_TO_SERVER else CLIENT_TO_SERVER
    encoded = damaged(whole, done)
    try:
        infos = decode_infos(encoded, direction, any_sdk=any_sdk)
    except DecodeError as error:
        refused_at = error.offset
    else:
        refused_at = 0
        assert infos
        look_at(infos, direction)
    assert 0 <= refused_at <= len(encoded)


@pytest.mark.fuzz("Wasm result decoders")
@settings(deadline=None, max_examples=EXAMPLES)
@given(damage)
def test_a_damaged_result_of_the_oldest_form_is_read_or_refused(
    done: list[tuple[str, float, int]],
) -> None:
    encoded = damaged(HTTP_RESULT, done)
    try:
        info = decode_http_result(encoded)
    except DecodeError as error:
        refused_at = error.offset
    else:
        refused_at = 0
        for direction in (CLIENT_TO_SERVER, SERVER_TO_CLIENT):
            look_at((info,), direction)
    assert 0 <= refused_at <= len(encoded)


def test_undamaged_seeds_cover_every_dialect() -> None:
    infos = [decode_infos(*seed, any_sdk=True)[0] for seed in SEEDS.values()]
    infos.append(decode_http_result(HTTP_RESULT))
    assert {info.dialect for info in infos} == {"g5", "g4", "g3", "g1", "g0"}
