"""Result records: both forms, every fault with its place and reason."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.wasm.abi import CLIENT_TO_SERVER, SERVER_TO_CLIENT, DecodeError, Status
from engine.wasm.infos import Dialect, Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.legacy import OLDER, decode_exactly
from engine.wasm.protobuf import AppInfo
from engine.wasm.results import decode_infos
from tests.unit.wasm.golden import GOLDEN, ids

NESTED = {"request": RequestInfo, "response": ResponseInfo, "trace": TraceInfo}


def expected(values: dict[str, Any]) -> Info:
    """The Info a golden vector stands for."""
    read = dict(values)
    read["attributes"] = tuple((key, value) for key, value in read.get("attributes", ()))
    for name, kind in NESTED.items():
        if name in read:
            inner = {
                key: tuple(value) if isinstance(value, list) else value
                for key, value in read[name].items()
            }
            read[name] = kind(**inner)
    return Info(**read)


def framed(*records: bytes) -> bytes:
    """A list of records."""
    return b"".join(len(record).to_bytes(2, "big") + record for record in records)


def protobuf(**values: Any) -> bytes:
    """One protobuf record."""
    return b"PB" + AppInfo(**values).SerializeToString()


@pytest.mark.parametrize("vector", GOLDEN["info_lists"], ids=ids("info_lists"))
def test_golden_vectors(vector: dict[str, Any]) -> None:
    infos = decode_infos(bytes.fromhex(vector["hex"]), vector["direction"])
    assert infos == (expected(vector["info"]),)


@pytest.mark.parametrize("vector", GOLDEN["refused_info_lists"], ids=ids("refused_info_lists"))
def test_records_of_older_sdks_are_refused_where_they_differ(vector: dict[str, Any]) -> None:
    with pytest.raises(DecodeError, match=vector["reason"]) as raised:
        decode_infos(bytes.fromhex(vector["hex"]), vector["direction"])
    assert raised.value.offset == vector["offset"]


@pytest.mark.parametrize("vector", GOLDEN["older_info_lists"], ids=ids("older_info_lists"))
def test_a_lenient_reader_tells_the_dialect_of_older_records(vector: dict[str, Any]) -> None:
    infos = decode_infos(bytes.fromhex(vector["hex"]), vector["direction"], any_sdk=True)
    assert infos == tuple(expected(info) for info in vector["infos"])


@pytest.mark.parametrize("vector", GOLDEN["older_info_lists"], ids=ids("older_info_lists"))
def test_a_strict_reader_refuses_them_and_says_what_they_are(vector: dict[str, Any]) -> None:
    dialect = vector["infos"][0]["dialect"]
    with pytest.raises(DecodeError, match=f"a record of {dialect}, SDK 2.*no longer read"):
        decode_infos(bytes.fromhex(vector["hex"]), vector["direction"])


@pytest.mark.parametrize("vector", GOLDEN["info_lists"], ids=ids("info_lists"))
def test_a_lenient_reader_reads_the_new_records_as_a_strict_one(vector: dict[str, Any]) -> None:
    infos = decode_infos(bytes.fromhex(vector["hex"]), vector["direction"], any_sdk=True)
    assert infos == (expected(vector["info"]),)


def test_a_record_of_the_branch_that_was_never_merged_is_refused_by_every_decoder() -> None:
    """It had a byte of flags, here 3, in place of "has request id"."""
    vector = next(vector for vector in GOLDEN["info_lists"] if vector["id"] == 10)
    record = bytearray.fromhex(vector["hex"])
    record[10] = 3
    with pytest.raises(DecodeError, match="has request id is 3") as raised:
        decode_infos(bytes(record), CLIENT_TO_SERVER, any_sdk=True)
    assert "no longer read" not in raised.value.reason


def test_what_a_trace_sent_empty_is_kept_apart_from_what_it_left_out() -> None:
    info = decode_infos(framed(protobuf(trace={"span_id": ""})), CLIENT_TO_SERVER)[0]
    assert info.trace == TraceInfo(sent_empty=("span_id",))


def test_several_records_make_several_infos() -> None:
    infos = decode_infos(framed(protobuf(request_id=1), protobuf(request_id=2)), CLIENT_TO_SERVER)
    assert [info.request_id for info in infos] == [1, 2]


@pytest.mark.parametrize(
    ("encoded", "offset", "reason"),
    [
        (b"", 0, "empty"),
        (b"\x00", 0, "half a record length"),
        (b"\x00\x05PB", 2, "record of 5 bytes, only 2 are left"),
        (framed(b"PB") + b"\x00", 4, "half a record length"),
        (framed(b"PB", b"PB\x0a\xfe"), 8, "not a DeepFlow AppInfo"),
        (framed(b""), 2, "request length: 4 bytes needed, 0 left"),
        (framed(b"\x00" * 8), 10, "has request id: 1 bytes needed, 0 left"),
        (framed(b"\x00" * 8 + b"\x02"), 10, "has request id is 2, not 0 or 1"),
        (framed(b"\x00" * 9 + b"\x00\x09ab"), 11, "type: 9 bytes announced, 2 left"),
    ],
)
def test_a_fault_refuses_the_whole_list_and_says_where(
    encoded: bytes, offset: int, reason: str
) -> None:
    with pytest.raises(DecodeError, match=reason) as raised:
        decode_infos(encoded, CLIENT_TO_SERVER)
    assert raised.value.offset == offset


def test_a_response_must_have_a_status_that_exists() -> None:
    assert decode_infos(framed(protobuf(resp={"status": Status.UNKNOWN})), 1)[0].response
    for response, reason in (({}, "without status"), ({"status": 1}, "1"), ({"status": 6}, "6")):
        with pytest.raises(DecodeError, match=reason):
            decode_infos(framed(protobuf(resp=response)), SERVER_TO_CLIENT)


def test_a_string_that_is_not_utf8_is_named() -> None:
    good = protobuf(resp={"status": 0, "result": "MARK"})
    with pytest.raises(DecodeError, match=r"resp\.result is not UTF-8"):
        decode_infos(framed(good.replace(b"MARK", b"\xff\xfe\xfd\xfc")), SERVER_TO_CLIENT)


def test_unknown_protobuf_fields_are_skipped_and_the_last_of_request_and_response_wins() -> None:
    both = protobuf(req={"type": "GET"}) + protobuf(resp={"status": 0})[2:] + b"\xf8\x3f\x01"
    info = decode_infos(framed(both), CLIENT_TO_SERVER)[0]
    assert info.request is None
    assert info.response == ResponseInfo(status=0)


@pytest.mark.parametrize(
    ("record", "field"),
    [
        (b"\x0a\x00", "req_len"),
        (b"\xaa\x01\x00", "is_end"),
        (b"\x50\x01", "req"),
        (b"\x52\x02\x08\x01", r"req\.version"),
        (b"\x62\x02\x30\x01", r"trace\.trace_ids"),
        (b"\xfa\x01\x05\x0d\0\0\0\0", r"attributes\.key"),
        (b"\xfa\x01\x00\xfa\x01\x02\x10\x00", r"attributes\.val"),
    ],
)
def test_a_known_field_of_another_wire_type_is_refused(record: bytes, field: str) -> None:
    """Google's runtime takes it for an unknown one and skips it; the agent's does not."""
    with pytest.raises(DecodeError, match=rf"^protobuf result: byte 4: {field} has the wrong"):
        decode_infos(framed(b"PB" + record), CLIENT_TO_SERVER)


@pytest.mark.parametrize(("tail", "biz_type"), [("0000", None), ("000007", 7), ("0001", 0)])
def test_a_key_without_a_value_is_spent_as_in_an_agent(tail: str, biz_type: int | None) -> None:
    """Attributes have no count: what follows them is the biz type, be it meant so or not."""
    record = bytes(17) + bytes.fromhex("0000000001" + "00016b000176" + tail)
    if biz_type is None:
        with pytest.raises(DecodeError, match="biz type: 1 bytes needed, 0 left"):
            decode_infos(framed(record), CLIENT_TO_SERVER)
        return
    (info,) = decode_infos(framed(record), CLIENT_TO_SERVER)
    assert info.attributes == (("k", "v"),)
    assert info.biz_type == biz_type


def test_the_single_trace_id_joins_the_others_once() -> None:
    trace = {"trace_id": "a", "trace_ids": ["b", "a"]}
    info = decode_infos(framed(protobuf(trace=trace)), CLIENT_TO_SERVER)[0]
    assert info.trace == TraceInfo(trace_ids=("b", "a"))


def test_biz_type_is_cut_to_a_byte() -> None:
    assert decode_infos(framed(protobuf(biz_type=0x1FF)), CLIENT_TO_SERVER)[0].biz_type == 0xFF


texts = st.text(max_size=12)
present = st.none() | texts


def message(**values: Any) -> dict[str, Any]:
    """The values that are there."""
    return {name: value for name, value in values.items() if value is not None}


requests = st.builds(
    message, version=present, type=present, domain=present, resource=present, endpoint=present
)
responses = st.builds(
    message,
    status=st.sampled_from([0, 2, 3, 4, 5]),
    code=st.none() | st.integers(-(2**31), 2**31 - 1),
    exception=present,
    result=present,
)


@settings(deadline=None)
@given(
    request_id=st.none() | st.integers(0, 2**32 - 1),
    request=st.none() | requests,
    response=st.none() | responses,
    attributes=st.lists(st.tuples(texts, texts), max_size=3),
    is_async=st.none() | st.booleans(),
    biz_code=present,
)
def test_protobuf_records_round_trip(
    request_id: int | None,
    request: dict[str, Any] | None,
    response: dict[str, Any] | None,
    attributes: list[tuple[str, str]],
    is_async: bool | None,
    biz_code: str | None,
) -> None:
    values = message(
        request_id=request_id,
        req=request if response is None else None,
        resp=response,
        attributes=[{"key": key, "val": value} for key, value in attributes],
        is_async=is_async,
        biz_code=biz_code,
    )
    info = decode_infos(framed(protobuf(**values)), CLIENT_TO_SERVER)[0]
    assert info.request_id == request_id
    assert info.attributes == tuple(attributes)
    assert (info.is_async, info.biz_code) == (is_async, biz_code)
    assert info.request == (None if request is None or response else RequestInfo(**request))
    assert info.response == (None if response is None else ResponseInfo(**response))


def legacy(values: dict[str, Any], direction: int, dialect: Dialect = "g4") -> bytes:
    """One record of the older form; older dialects leave out what came later."""

    def string(text: str) -> bytes:
        encoded = text.encode()
        return len(encoded).to_bytes(2, "big") + encoded

    def length(value: int | None) -> bytes:
        return bytes(4) if value is None else (value | 0x8000_0000).to_bytes(4, "big")

    parts = [length(values["req_len"]), length(values["resp_len"])]
    identity = values["request_id"]
    parts.append(b"\0" if identity is None else b"\1" + identity.to_bytes(4, "big"))
    if direction == CLIENT_TO_SERVER:
        parts += [string(text) for text in values["texts"]]
    else:
        code = values["code"]
        parts.append(bytes([values["status"]]))
        parts.append(b"\0" if code is None else b"\1" + code.to_bytes(4, "big", signed=True))
        parts += [string(text) for text in values["texts"][:2]]
    parts += [string(values["protocol"])] if dialect == "g4" else []
    parts += [bytes([values["merge"]])] if dialect != "g0" else []
    trace = values["trace"]
    parts += [b"\0"] if trace is None else [b"\1", *(string(text) for text in trace)]
    pairs = values["attributes"]
    parts += [b"\1", *(string(key) + string(value) for key, value in pairs)] if pairs else [b"\0"]
    parts += [bytes([values["biz_type"]])] if dialect in ("g4", "g3") else []
    return b"".join(parts)


lengths = st.none() | st.integers(0, 2**31 - 1)


legacy_values = st.fixed_dictionaries(
    {
        "req_len": lengths,
        "resp_len": lengths,
        "request_id": st.none() | st.integers(0, 2**32 - 1),
        "texts": st.tuples(texts, texts, texts, texts),
        "status": st.sampled_from([0, 2, 3, 4, 5]),
        "code": st.none() | st.integers(-(2**31), 2**31 - 1),
        "protocol": texts,
        "merge": st.sampled_from([0, 0x80, 0x81]),
        "trace": st.none() | st.tuples(texts, texts, texts),
        "attributes": st.lists(st.tuples(texts, texts), max_size=3),
        "biz_type": st.integers(0, 255),
    }
)
directions = st.sampled_from([CLIENT_TO_SERVER, SERVER_TO_CLIENT])


@settings(deadline=None)
@given(values=legacy_values, direction=directions)
def test_legacy_records_round_trip(values: dict[str, Any], direction: int) -> None:
    info = decode_infos(framed(legacy(values, direction)), direction)[0]
    first, second, third, fourth = values["texts"]
    assert (info.req_len, info.resp_len) == (values["req_len"], values["resp_len"])
    assert (info.request_id, info.protocol) == (values["request_id"], values["protocol"])
    assert info.is_end == {0: None, 0x80: False, 0x81: True}[values["merge"]]
    assert info.attributes == tuple(values["attributes"])
    assert info.biz_type == values["biz_type"]
    if direction == CLIENT_TO_SERVER:
        assert info.request == RequestInfo(
            type=first, endpoint=second, domain=third, resource=fourth
        )
    else:
        assert info.response == ResponseInfo(
            status=values["status"], code=values["code"], result=first, exception=second
        )


@pytest.mark.parametrize("dialect", OLDER)
@settings(deadline=None)
@given(values=legacy_values, direction=directions)
def test_records_of_every_older_dialect_round_trip(
    dialect: Dialect, values: dict[str, Any], direction: int
) -> None:
    info = decode_exactly(legacy(values, direction, dialect), 0, direction, [dialect])
    assert info is not None
    assert (info.dialect, info.attributes) == (dialect, tuple(values["attributes"]))
    assert (info.protocol, info.request_id) == ("", values["request_id"])
    assert info.biz_type == (values["biz_type"] if dialect == "g3" else None)
    merge = {0: None, 0x80: False, 0x81: True}[values["merge"]]
    assert info.is_end == (None if dialect == "g0" else merge)
    assert (info.trace is None) is (values["trace"] is None)


@pytest.mark.fuzz("Wasm result decoders")
@settings(deadline=None)
@given(
    st.binary(max_size=120) | st.binary(max_size=60).map(lambda tail: framed(b"PB" + tail)),
    st.sampled_from([CLIENT_TO_SERVER, SERVER_TO_CLIENT]),
)
def test_any_bytes_are_read_or_refused(encoded: bytes, direction: int) -> None:
    try:
        infos = decode_infos(encoded, direction)
    except DecodeError as error:
        offset = error.offset
    else:
        assert all(isinstance(info, Info) for info in infos)
        offset = len(infos)
    assert 0 <= offset <= len(encoded)


@given(st.integers(0, 26))
def test_every_shortening_of_a_record_without_attributes_is_refused(length: int) -> None:
    """Only the list of attributes has no length of its own in the older form."""
    vector = next(vector for vector in GOLDEN["info_lists"] if vector["id"] == 11)
    record = bytes.fromhex(vector["hex"])[2:]
    assert length < len(record)
    with pytest.raises(DecodeError):
        decode_infos(framed(record[:length]), vector["direction"])


def test_every_field_of_an_info_is_covered_by_a_vector() -> None:
    shown = {name for vector in GOLDEN["info_lists"] for name in vector["info"]}
    assert {field.name for field in fields(Info)} - shown == {"is_reversed", "only_adds"}
