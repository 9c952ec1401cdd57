"""The plugin SDK writes what the official SDKs write, and reads the agent's tasks."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import sdk
from engine.agent.decode import decode_record
from engine.agent.messages import encode_task
from engine.agent.wire import frame
from tests.unit.agent.support import VECTORS


class Agent:
    """The agent's ends of a client's pipes."""

    def __init__(self) -> None:
        task_read, self.tasks = os.pipe()
        self.records, record_write = os.pipe()
        self._client_fds = (task_read, record_write)
        self.client = sdk.Client(task_read, record_write)

    def read_frame(self) -> bytes:
        """The body of the next frame."""
        (length,) = struct.unpack("<I", self._exactly(4))
        return self._exactly(length)

    def _exactly(self, count: int) -> bytes:
        got = b""
        while len(got) < count:
            part = os.read(self.records, count - len(got))
            assert part, "the client has closed its end"
            got += part
        return got

    def hang_up(self, *descriptors: int) -> None:
        for descriptor in descriptors:
            os.close(descriptor)
            if descriptor == self.tasks:
                self.tasks = -1
            elif descriptor == self.records:
                self.records = -1

    def close(self) -> None:
        # Without a reader `close` does not linger for the records to be read.
        self.hang_up(*(fd for fd in (self.records, self.tasks) if fd >= 0))
        self.client.close()
        for descriptor in self._client_fds:
            os.close(descriptor)


@pytest.fixture
def agent() -> Iterator[Agent]:
    made = Agent()
    yield made
    made.close()


ONE_PAIR = [vector for vector in VECTORS["records_good"] if len(vector["fields"]) <= 2]


@pytest.mark.parametrize("vector", ONE_PAIR, ids=lambda vector: vector["id"])
def test_writes_the_bytes_of_the_official_sdks(agent: Agent, vector: dict[str, Any]) -> None:
    agent.client.send_record(vector["data_type"], vector["fields"], vector["timestamp"])
    agent.client.flush()
    assert frame(agent.read_frame()).hex() == vector["hex"]


def test_writes_lengths_of_two_bytes_as_the_official_sdks(agent: Agent) -> None:
    vector = VECTORS["record_generated"]
    text = chr(int(vector["repeat_byte"], 16)) * vector["repeat"]
    agent.client.send_record(vector["data_type"], {"big": text}, vector["timestamp"])
    agent.client.flush()
    expected = vector["head_hex"] + vector["repeat_byte"] * vector["repeat"]
    assert frame(agent.read_frame()).hex() == expected


@given(
    data_type=st.integers(-(2**31), 2**31 - 1).filter(bool),
    timestamp=st.integers(-(2**63), 2**63 - 1).filter(bool),
    fields=st.dictionaries(st.text(max_size=200), st.text(max_size=300), max_size=5),
)
def test_protobuf_reads_back_whatever_was_sent(
    data_type: int, timestamp: int, fields: dict[str, str]
) -> None:
    with open(os.memfd_create("records"), "w+b") as records:
        with sdk.Client(-1, records.fileno()) as client:
            client.send_record(data_type, fields, timestamp)
        records.seek(0)
        written = records.read()
    body = written[4:]
    assert written[:4] == struct.pack("<I", len(body))
    decoded = decode_record(body)
    wanted = {
        key.encode("utf-8", "backslashreplace"): value.encode("utf-8", "backslashreplace")
        for key, value in fields.items()
    }
    assert (decoded.data_type, decoded.timestamp) == (data_type, timestamp)
    assert decoded.fields == wanted
    assert decoded.faults == ()


def test_a_record_without_fields_still_has_a_payload(agent: Agent) -> None:
    agent.client.send_record(9998, {}, 1700000003)
    agent.client.flush()
    assert agent.read_frame().endswith(b"\x1a\x00")


@pytest.mark.parametrize("timestamp", [None, 0])
def test_a_missing_timestamp_becomes_now(agent: Agent, timestamp: int | None) -> None:
    before = int(time.time())
    agent.client.send_record(7000, {"a": "b"}, timestamp)
    agent.client.flush()
    stamp = decode_record(agent.read_frame()).timestamp
    assert stamp is not None
    assert before <= stamp <= int(time.time())


@pytest.mark.parametrize("data_type", [0, 2**31, -(2**31) - 1])
def test_refuses_a_data_type_an_agent_would_misread(agent: Agent, data_type: int) -> None:
    with pytest.raises(ValueError, match="data type"):
        agent.client.send_record(data_type, {})


def test_refuses_fields_that_are_no_text(agent: Agent) -> None:
    with pytest.raises(TypeError, match="'count': 3"):
        agent.client.send_record(7000, {"count": 3})  # type: ignore[dict-item]


def test_what_is_not_unicode_is_sent_escaped(agent: Agent) -> None:
    agent.client.send_record(7000, {"file": "a\udcffb"})
    agent.client.flush()
    assert decode_record(agent.read_frame()).fields == {b"file": rb"a\udcffb"}


def test_records_leave_by_themselves(agent: Agent) -> None:
    agent.client.send_record(7000, {"a": "b"})
    assert decode_record(agent.read_frame()).fields == {b"a": b"b"}


def test_threads_do_not_mix_their_frames(agent: Agent) -> None:
    count, senders = 500, 4

    def send(sender: int) -> None:
        for number in range(count):
            agent.client.send_record(7000 + sender, {"n": str(number), "pad": "x" * sender * 50})

    threads = [threading.Thread(target=send, args=(sender,)) for sender in range(1, senders + 1)]

    def close() -> None:
        for thread in threads:
            thread.join()
        agent.client.flush()

    closer = threading.Thread(target=close)
    for thread in [*threads, closer]:
        thread.start()
    seen: dict[int | None, list[bytes]] = {}
    for _ in range(count * senders):
        decoded = decode_record(agent.read_frame())
        assert decoded.faults == ()
        seen.setdefault(decoded.data_type, []).append(decoded.fields[b"n"])
    closer.join()
    wanted = [str(number).encode() for number in range(count)]
    assert seen == {7000 + sender: wanted for sender in range(1, senders + 1)}


@pytest.mark.parametrize("vector", VECTORS["tasks"], ids=lambda vector: vector["id"])
def test_reads_the_agents_tasks(agent: Agent, vector: dict[str, Any]) -> None:
    os.write(agent.tasks, bytes.fromhex(vector["hex"]))
    task = agent.client.receive_task()
    assert task == (
        vector["data_type"], vector["object_name"], vector["data"], vector["token"],
    )  # fmt: skip


def test_reads_a_task_that_comes_byte_by_byte(agent: Agent) -> None:
    whole = bytes.fromhex(VECTORS["tasks"][0]["hex"])
    received: list[sdk.Task | None] = []
    reader = threading.Thread(target=lambda: received.append(agent.client.receive_task()))
    reader.start()
    for byte in whole:
        os.write(agent.tasks, bytes((byte,)))
    reader.join()
    assert received[0] is not None
    assert received[0].token == "tok-1"


def test_a_broken_task_does_not_hide_the_next_one(agent: Agent) -> None:
    os.write(agent.tasks, frame(b"\x0b\xff") + frame(encode_task(7010, "me", "go", "t")))
    with pytest.raises(ValueError, match="not a protobuf message"):
        agent.client.receive_task()
    assert agent.client.receive_task() == (7010, "me", "go", "t")


@pytest.mark.fuzz("plugin task decoder")
@given(st.binary(max_size=64))
def test_any_bytes_are_a_task_or_a_clear_error(body: bytes) -> None:
    with suppress(ValueError):
        assert isinstance(sdk.decode_task(body), sdk.Task)


@given(st.integers(-(2**31), 2**31 - 1), st.text(max_size=50), st.text(max_size=300), st.text())
def test_reads_every_task_that_protobuf_writes(
    data_type: int, name: str, data: str, token: str
) -> None:
    assert sdk.decode_task(encode_task(data_type, name, data, token)) == (
        data_type, name, data, token,
    )  # fmt: skip


def test_the_end_of_the_task_pipe_is_none(agent: Agent) -> None:
    agent.hang_up(agent.tasks)
    assert agent.client.receive_task() is None
    assert agent.client.receive_task() is None


def test_a_reply_leaves_at_once_with_the_token(agent: Agent) -> None:
    agent.client.reply(sdk.Task(7010, "me", "", "tok-9"), False, "no such thing")
    decoded = decode_record(agent.read_frame())
    assert decoded.data_type == 5100
    assert decoded.fields == {b"token": b"tok-9", b"status": b"failed", b"msg": b"no such thing"}


def test_an_agent_that_is_gone_is_an_error(agent: Agent) -> None:
    agent.hang_up(agent.records)
    agent.client.send_record(7000, {})
    with pytest.raises(BrokenPipeError):
        agent.client.flush()
    with pytest.raises(BrokenPipeError):
        agent.client.send_record(7000, {})


def test_close_waits_until_the_agent_has_read(agent: Agent) -> None:
    agent.client.send_record(7000, {"last": "word"})
    closing = threading.Thread(target=agent.client.close)
    closing.start()
    body = agent.read_frame()
    closing.join()
    assert decode_record(body).fields == {b"last": b"word"}


def test_close_gives_up_on_an_agent_that_does_not_read(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sdk, "LINGER_S", 0.05)
    agent.client.send_record(7000, {"last": "word"})
    agent.client.close()
    assert decode_record(agent.read_frame()).fields == {b"last": b"word"}


def test_needs_nothing_but_the_standard_library() -> None:
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('sdk', {sdk.__file__!r})\n"
        "module = sys.modules['sdk'] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "outside = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(outside - set(sys.stdlib_module_names) - {'sdk', '__main__'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
