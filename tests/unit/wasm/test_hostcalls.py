"""The functions a plugin calls: what they write, what they answer, what they refuse."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from engine.wasm.abi import BaseContext, CustomMessage, HttpRequest, HttpResponse
from engine.wasm.hostcalls import CallContext, HostFunctions
from engine.wasm.infos import TraceInfo
from engine.wasm.wasi import (
    ERRNO_BADF,
    ERRNO_FAULT,
    ERRNO_INVAL,
    ERRNO_SUCCESS,
    MAX_STDOUT,
    WasiFunctions,
)

BASE = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 80, 1)
U32 = 0xFFFF_FFFF


class Memory:
    """256 bytes of guest memory."""

    def __init__(self) -> None:
        self.content = bytearray(256)

    def contains(self, pointer: int, length: int) -> bool:
        """Whether the range is inside."""
        return pointer + length <= len(self.content)

    def read(self, pointer: int, length: int) -> bytes:
        """A copy of a range."""
        assert self.contains(pointer, length)
        return bytes(self.content[pointer : pointer + length])

    def write(self, pointer: int, content: bytes) -> None:
        """Change a range."""
        assert self.contains(pointer, len(content))
        self.content[pointer : pointer + len(content)] = content


@pytest.fixture
def memory() -> Memory:
    """Fresh guest memory."""
    return Memory()


@pytest.fixture
def functions() -> HostFunctions:
    """Host functions in the middle of an HTTP request hook."""
    host = HostFunctions()
    host.context = CallContext(BASE, b"payload", request=HttpRequest(b"/a"))
    return host


def test_the_base_context_is_written(functions: HostFunctions, memory: Memory) -> None:
    size = functions.vm_read_ctx_base(memory, 10, 100)
    assert memory.read(10, size) == BASE.encode()


def test_a_buffer_too_small_for_a_context_gets_nothing(
    functions: HostFunctions, memory: Memory
) -> None:
    assert functions.vm_read_ctx_base(memory, 0, 35) == 0
    assert functions.vm_read_http_req_info(memory, 0, 5) == 0
    assert memory.content == bytearray(256)
    assert len(functions.journal.faults) == 2


def test_the_payload_is_written_and_may_be_empty(functions: HostFunctions, memory: Memory) -> None:
    assert functions.vm_read_payload(memory, 0, 7) == 7
    assert memory.read(0, 7) == b"payload"
    functions.context = CallContext(BASE, b"")
    assert functions.vm_read_payload(memory, 0, 0) == 0
    assert functions.journal.faults == []


def test_a_payload_buffer_that_is_too_short_is_told_apart_from_one_outside(
    functions: HostFunctions, memory: Memory
) -> None:
    assert functions.vm_read_payload(memory, 0, 6) == -1
    assert functions.vm_read_payload(memory, 250, 7) == 0
    assert "leave the memory" in functions.journal.faults[1]


@pytest.mark.parametrize(("pointer", "length"), [(U32, 1), (U32, U32), (0, U32), (256, 1)])
def test_ranges_that_leave_the_memory_are_refused_without_wrapping(
    functions: HostFunctions, memory: Memory, pointer: int, length: int
) -> None:
    for call in functions.table().values():
        assert call(memory, pointer, length) == 0
    functions.wasm_log(memory, pointer, length, 0)
    assert functions.journal.logs == []
    assert functions.journal.faults


def test_a_custom_message_is_only_given_in_its_hook(memory: Memory) -> None:
    functions = HostFunctions()
    functions.context = CallContext(BASE, b"", custom=CustomMessage(104, b"abc"))
    assert functions.vm_read_custom_message_info(memory, 0, 12) == 0
    assert functions.vm_read_custom_message_info(memory, 0, 13) == 13
    assert memory.read(0, 13) == bytes.fromhex("00000000006800000003") + b"abc"
    assert functions.vm_read_http_req_info(memory, 0, 100) == 0


def test_http_request_is_only_given_in_its_hook(functions: HostFunctions, memory: Memory) -> None:
    size = functions.vm_read_http_req_info(memory, 0, 100)
    assert memory.read(0, size) == HttpRequest(b"/a").encode()
    assert functions.vm_read_http_resp_info(memory, 0, 100) == 0
    assert functions.vm_read_custom_message_info(memory, 0, 100) == 0


def test_http_response_depends_on_the_room_there_is(
    functions: HostFunctions, memory: Memory
) -> None:
    functions.context = CallContext(BASE, b"", response=HttpResponse(500, b"/e"))
    assert functions.vm_read_http_resp_info(memory, 0, 2) == 0
    assert functions.vm_read_http_resp_info(memory, 0, 3) == 3
    assert functions.vm_read_http_resp_info(memory, 0, 100) == 7
    assert memory.read(0, 7) == b"\x01\xf4\x03\x00\x02/e"
    assert functions.vm_read_http_req_info(memory, 0, 100) == 0


def test_without_a_message_only_logging_works(memory: Memory) -> None:
    functions = HostFunctions()
    for name, call in functions.table().items():
        assert call(memory, 0, 10) == 0, name
    assert all("no message" in fault or "custom" in fault for fault in functions.journal.faults)
    functions.wasm_log(memory, 0, 1, 0)
    assert functions.journal.logs == ["info: ␀"]


def test_an_accepted_result_replaces_the_one_before(
    functions: HostFunctions, memory: Memory
) -> None:
    assert functions.context is not None
    memory.write(0, bytes.fromhex("00055042a80101"))
    memory.write(100, bytes.fromhex("00025042"))
    assert functions.host_read_l7_protocol_info(memory, 0, 7) == 1
    assert functions.context.infos[0].is_end is True
    assert functions.host_read_l7_protocol_info(memory, 100, 4) == 1
    assert functions.context.infos[0].is_end is None


def test_a_refused_result_leaves_the_one_before_and_says_why(
    functions: HostFunctions, memory: Memory
) -> None:
    assert functions.context is not None
    memory.write(0, bytes.fromhex("00025042"))
    assert functions.host_read_l7_protocol_info(memory, 0, 4) == 1
    assert functions.host_read_l7_protocol_info(memory, 0, 3) == 0
    assert len(functions.context.infos) == 1
    assert functions.journal.rejected == "result list: byte 2: record of 2 bytes, only 1 are left"


def test_the_string_result_is_kept(functions: HostFunctions, memory: Memory) -> None:
    assert functions.context is not None
    memory.write(0, b"\x00\x04KRPC")
    assert functions.host_read_str_result(memory, 0, 6) == 1
    assert functions.context.string == b"KRPC"
    assert functions.host_read_str_result(memory, 0, 5) == 0
    assert functions.journal.rejected


def test_the_oldest_plugins_get_the_code_of_a_response_alone(memory: Memory) -> None:
    functions = HostFunctions(short_response=True)
    functions.context = CallContext(BASE, b"", response=HttpResponse(500, b"/e"))
    assert functions.vm_read_http_resp_info(memory, 0, 1) == 0
    assert functions.vm_read_http_resp_info(memory, 0, 2) == 2
    assert memory.read(0, 3) == b"\x01\xf4\x00"
    assert functions.vm_read_http_resp_info(memory, 0, 3) == 3


def test_there_is_one_slot_for_infos_and_string(functions: HostFunctions, memory: Memory) -> None:
    assert functions.context is not None
    memory.write(0, bytes.fromhex("00025042"))
    memory.write(100, b"\x00\x04KRPC")
    assert functions.host_read_l7_protocol_info(memory, 0, 4) == 1
    assert functions.host_read_str_result(memory, 100, 6) == 1
    assert (functions.context.infos, functions.context.string) == ((), b"KRPC")
    assert functions.host_read_l7_protocol_info(memory, 0, 4) == 1
    assert (len(functions.context.infos), functions.context.string) == (1, b"")
    assert [note.split(": the ")[1] for note in functions.journal.notes] == [
        "string takes the place of the result sent before it",
        "result takes the place of the string sent before it",
    ]


def test_log_lines_are_sanitised_and_have_their_level(
    functions: HostFunctions, memory: Memory
) -> None:
    memory.write(0, b"\x1b[31mred\xff")
    for level in (0, 1, 2, 9):
        functions.wasm_log(memory, 0, 9, level)
    assert functions.journal.logs == [
        "info: ␛[31mred\\xff",
        "warning: ␛[31mred\\xff",
        "error: ␛[31mred\\xff",
        "level 9: ␛[31mred\\xff",
    ]
    assert functions.journal.notes == [
        "wasm_log: not UTF-8; an agent logs an error in place of the text",
        "wasm_log: level 9 does not exist; an agent drops the text",
    ]


def test_a_plugin_that_logs_without_end_fills_nothing(
    functions: HostFunctions, memory: Memory
) -> None:
    for _ in range(10_000):
        functions.wasm_log(memory, 0, 200, 0)
        functions.vm_read_ctx_base(memory, 0, 1)
    assert len(functions.journal.lines()) <= 100


def test_stdout_is_captured(functions: HostFunctions, memory: Memory) -> None:
    memory.write(0, b"one\ntwo\n")
    memory.write(100, struct.pack("<IIII", 0, 4, 4, 4))
    assert WasiFunctions(functions).fd_write(memory, 1, 100, 2, 200) == ERRNO_SUCCESS
    assert memory.read(200, 4) == struct.pack("<I", 8)
    assert functions.journal.lines() == ["stdout: one", "stdout: two"]


def test_writing_elsewhere_or_from_outside_fails(functions: HostFunctions, memory: Memory) -> None:
    assert WasiFunctions(functions).fd_write(memory, 3, 0, 1, 200) == ERRNO_BADF
    assert WasiFunctions(functions).fd_write(memory, 1, 250, 1, 200) == ERRNO_FAULT
    assert WasiFunctions(functions).fd_write(memory, 1, 0, 1, 255) == ERRNO_FAULT
    assert WasiFunctions(functions).fd_write(memory, 1, 0, U32, 200) == ERRNO_INVAL
    memory.write(0, struct.pack("<II", 200, U32))
    assert WasiFunctions(functions).fd_write(memory, 1, 0, 1, 100) == ERRNO_FAULT
    assert functions.journal.stdout == b""


def test_stdout_without_end_fills_nothing(functions: HostFunctions, memory: Memory) -> None:
    wasi = WasiFunctions(functions)
    memory.write(0, struct.pack("<II", 0, 200))
    for _ in range(1_000):
        assert wasi.fd_write(memory, 1, 0, 1, 240) == ERRNO_SUCCESS
    assert len(functions.journal.stdout) == MAX_STDOUT


def test_random_numbers_are_the_same_in_every_instance(memory: Memory) -> None:
    drawn = []
    for _ in range(2):
        wasi = WasiFunctions(HostFunctions())
        assert wasi.random_get(memory, 0, 16) == ERRNO_SUCCESS
        drawn.append(memory.read(0, 16))
    assert drawn[0] == drawn[1] != bytes(16)
    assert wasi.random_get(memory, 250, 7) == ERRNO_FAULT
    assert wasi.random_get(memory, 0, U32) == ERRNO_INVAL


def test_a_sleep_is_over_at_once(functions: HostFunctions, memory: Memory) -> None:
    """One clock subscription of WASI: userdata 7, kind 0."""
    wasi = WasiFunctions(functions)
    memory.write(0, struct.pack("<QB39x", 7, 0))
    assert wasi.poll_oneoff(memory, 0, 100, 1, 200) == ERRNO_SUCCESS
    assert memory.read(100, 32) == struct.pack("<QHB21x", 7, 0, 0)
    assert memory.read(200, 4) == struct.pack("<I", 1)
    assert wasi.poll_oneoff(memory, 0, 100, 0, 200) == ERRNO_INVAL
    assert wasi.poll_oneoff(memory, 0, 250, 1, 200) == ERRNO_FAULT
    assert wasi.poll_oneoff(memory, 0, 0, U32, 200) == ERRNO_INVAL


@pytest.mark.parametrize(("clock", "absolute"), [(0, 0), (1, 0), (0, 1), (1, 1)])
def test_after_a_sleep_the_time_is_over_that_was_slept(
    functions: HostFunctions, memory: Memory, clock: int, absolute: int
) -> None:
    """One clock subscription of WASI; a scheduler asks for the time until its sleep is over."""
    wasi = WasiFunctions(functions)

    def now_ns() -> int:
        assert wasi.clock_time_get(memory, clock, 1, 200) == ERRNO_SUCCESS
        return int.from_bytes(memory.read(200, 8), "little")

    began, hour = now_ns(), 3_600 * 10**9
    timeout = began + hour if absolute else hour
    memory.write(0, struct.pack("<QB7xIxxxxQQHxxxxxx", 7, 0, clock, timeout, 0, absolute))
    assert wasi.poll_oneoff(memory, 0, 100, 1, 208) == ERRNO_SUCCESS
    assert hour <= now_ns() - began < hour + 10**6


def test_only_the_clock_of_the_day_goes_back_with_an_older_message(
    functions: HostFunctions, memory: Memory
) -> None:
    wasi = WasiFunctions(functions)
    times: list[list[int]] = [[], []]
    for time_us in (2_000_000, 1_000_000):
        functions.context = CallContext(replace(BASE, time_us=time_us), b"")
        for clock, seen in enumerate(times):
            assert wasi.clock_time_get(memory, clock, 1, 0) == ERRNO_SUCCESS
            seen.append(int.from_bytes(memory.read(0, 8), "little"))
    assert times[0][0] > times[0][1]
    assert times[1][0] <= times[1][1]


def test_every_host_call_is_kept_with_its_result(functions: HostFunctions) -> None:
    for at in range(1_000):
        functions.journal.called("vm_read_payload", at, 8, -1)
    assert functions.journal.host_calls[0] == ("vm_read_payload", 0, 8, -1)
    assert len(functions.journal.host_calls) == 64


def test_results_of_old_sdks_are_read_by_a_lenient_host(memory: Memory) -> None:
    record = bytes.fromhex("0008") + bytes(8)
    trace = b"\1" + b"".join(b"\0\1" + text for text in (b"t", b"s", b"p", b"k", b"v"))
    memory.write(0, trace)
    lenient = HostFunctions(any_sdk=True)
    lenient.context = CallContext(BASE, b"")
    assert lenient.host_read_http_result(memory, 0, len(trace)) == 1
    (info,) = lenient.context.infos
    assert (info.dialect, info.attributes) == ("g0", (("k", "v"),))
    assert info.trace is not None
    assert (info.trace.span_id, info.only_adds) == ("s", True)
    memory.write(0, b"\1\0\1t\0\0\0\0")
    assert lenient.host_read_http_result(memory, 0, 8) == 1
    assert lenient.context.infos[0].trace == TraceInfo(("t",))
    memory.write(0, trace)
    assert lenient.host_read_http_result(memory, 0, len(trace) - 1) == 0
    assert "HTTP result: byte" in lenient.journal.rejected
    memory.write(0, record)
    assert lenient.host_read_l7_protocol_info(memory, 0, len(record)) == 0
