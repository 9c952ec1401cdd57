"""What the host writes for a plugin and reads back, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wasm.abi import (
    CLIENT_TO_SERVER,
    SERVER_TO_CLIENT,
    BaseContext,
    DecodeError,
    HttpRequest,
    HttpResponse,
    Status,
    Verdict,
    decode_custom_filter,
    decode_hooks,
    decode_string,
    decode_verdict,
    ebpf_process,
    encode_string,
    http_status,
)
from engine.wasm.custom import NATS, nats_message, zmtp_message
from tests.unit.wasm.golden import GOLDEN, ids


@pytest.mark.parametrize("vector", GOLDEN["base_context"], ids=ids("base_context"))
def test_base_context_is_encoded_as_the_agent_does(vector: dict[str, Any]) -> None:
    values = dict(vector["values"])
    for name in ("src", "dst", "process"):
        values[name] = bytes.fromhex(values[name])
    assert BaseContext(**values).encode().hex() == vector["hex"]


def test_a_buffer_size_beyond_16_bits_is_cut() -> None:
    context = BaseContext(b"\1\2\3\4", b"\5\6\7\10", 1, 2, 3, buffer_size=100_000)
    assert context.encode()[-2:] == b"\xff\xff"


def test_http_request_is_encoded_as_the_agent_does() -> None:
    vector = GOLDEN["http_request"]
    texts = (vector[name].encode() for name in ("path", "host", "user_agent", "referer"))
    assert HttpRequest(*texts).encode().hex() == vector["hex"]


def test_a_header_longer_than_its_length_field_is_cut() -> None:
    encoded = HttpRequest(b"/" + b"a" * 70_000).encode()
    assert encoded[:2] == b"\xff\xff"
    assert len(encoded) == 2 + 65_535 + 6


def test_http_response_leaves_the_endpoint_out_where_it_does_not_fit() -> None:
    vector = GOLDEN["http_response"]
    response = HttpResponse(vector["code"], vector["endpoint"].encode())
    assert response.encode(3).hex() == vector["hex_in_3_bytes"]
    assert response.encode(65_536).hex() == vector["hex_in_65536_bytes"]
    assert response.encode(2).hex() == vector["hex_in_3_bytes"][:4]
    assert response.encode(1) == b""


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (200, Status.OK),
        (302, Status.OK),
        (404, Status.CLIENT_ERROR),
        (499, Status.CLIENT_ERROR),
        (500, Status.SERVER_ERROR),
        (599, Status.SERVER_ERROR),
    ],
)
def test_http_codes_map_to_the_abis_status(code: int, status: int) -> None:
    assert http_status(code) == status


@pytest.mark.parametrize("vector", GOLDEN["hook_bitmaps"], ids=ids("hook_bitmaps"))
def test_hook_bitmaps(vector: dict[str, Any]) -> None:
    assert list(decode_hooks(bytes.fromhex(vector["hex"]))) == vector["hooks"]


@pytest.mark.parametrize("vector", GOLDEN["custom_filters"], ids=ids("custom_filters"))
def test_custom_filters_compare_for_equality(vector: dict[str, Any]) -> None:
    chosen = decode_custom_filter(bytes.fromhex(vector["hex"]))
    assert all(chosen.matches(*message) for message in vector["matches"])
    assert not any(chosen.matches(*message) for message in vector["ignores"])


@given(st.binary(max_size=20))
def test_bitmaps_and_filters_of_another_size_are_refused(content: bytes) -> None:
    if len(content) != 16:
        with pytest.raises(DecodeError, match="16 bytes expected"):
            decode_hooks(content)
    if len(content) != 8:
        with pytest.raises(DecodeError, match="8 bytes expected"):
            decode_custom_filter(content)


def test_custom_message_is_encoded_as_the_agent_does() -> None:
    vector = GOLDEN["custom_message"]
    payload = bytes.fromhex(vector["payload"])
    message = nats_message(vector["subject"], vector["reply_to"], payload)
    assert (message.hook_point, message.type_code) == (0, NATS)
    assert message.encode().hex() == vector["hex"]


def test_a_zmtp_pattern_may_be_empty_or_absent() -> None:
    assert zmtp_message("", b"A").message.hex() == "0a00120141"
    assert zmtp_message(None, b"A").message.hex() == "120141"


@pytest.mark.parametrize(
    ("comm", "padded"),
    [(b"nginx", b"nginx" + bytes(10)), (b"a-very-long-name", b"a-very-long-nam")],
)
def test_ebpf_sources_give_process_names_of_15_bytes(comm: bytes, padded: bytes) -> None:
    assert ebpf_process(comm) == padded


def test_string_result() -> None:
    vector = GOLDEN["string_result"]
    assert decode_string(bytes.fromhex(vector["hex"])) == vector["text"].encode()


@given(st.binary(max_size=300))
def test_strings_round_trip(text: bytes) -> None:
    assert decode_string(encode_string(text)) == text


@pytest.mark.fuzz("Wasm result decoders")
@given(st.binary(max_size=40))
def test_a_string_is_read_or_refused(encoded: bytes) -> None:
    try:
        text = decode_string(encoded)
    except DecodeError as error:
        refusal = error
    else:
        assert encoded.startswith(encode_string(text))
        return
    assert 0 <= refusal.offset <= len(encoded)
    assert refusal.reason in str(refusal)


@pytest.mark.parametrize(
    ("returned", "verdict"),
    [
        (0, None),
        (7, Verdict(7, CLIENT_TO_SERVER)),
        (255, Verdict(255, CLIENT_TO_SERVER)),
        (0x100, None),
        (0x107, Verdict(7, CLIENT_TO_SERVER)),
        (0x207, Verdict(7, SERVER_TO_CLIENT)),
        (-256, None),
    ],
)
def test_verdicts(returned: int, verdict: Verdict | None) -> None:
    assert decode_verdict(returned) == verdict


@pytest.mark.parametrize("returned", [-1, 0x301, 0x7FFF_FFFF])
def test_a_verdict_without_meaning_is_refused(returned: int) -> None:
    with pytest.raises(DecodeError, match=str(returned)):
        decode_verdict(returned)
