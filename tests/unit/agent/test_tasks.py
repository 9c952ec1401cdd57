"""Tasks: queued without waiting, written whole, matched with their replies by token."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from typing import Any

import pytest

from engine.agent import sdk, tasks
from engine.agent.messages import encode_task
from engine.agent.tasks import TaskQueue
from engine.agent.wire import PREFIX, Frames
from engine.core.errors import PluginError, UsageError
from tests.unit.agent.support import VECTORS, record_frame

MS = 1_000_000


class TaskPipe:
    """A task pipe of one page whose reading end is a plugin's."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(self.writer, False)
        os.set_blocking(self.reader, False)

    def read(self) -> bytes:
        try:
            return os.read(self.reader, 1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def pipe() -> Iterator[TaskPipe]:
    made = TaskPipe()
    yield made
    os.close(made.reader)
    os.close(made.writer)


class Now:
    """The time, set by hand."""

    ns = 0

    def __call__(self) -> int:
        return self.ns


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def queue(now: Now) -> TaskQueue:
    return TaskQueue("demo", "tok-", now)


def reply(**fields: str) -> bytes:
    return record_frame(fields, sdk.REPLY)


def match(queue: TaskQueue, frames: list[bytes]) -> None:
    queue.match_replies(Frames(b"".join(frames), len(frames)))


def fates(queue: TaskQueue) -> list[tuple[str, str, str]]:
    return [(one.token, one.state, one.detail) for one in queue.statuses()]


def test_a_task_goes_from_queued_to_written_to_replied(
    pipe: TaskPipe, queue: TaskQueue, now: Now
) -> None:
    queue.put("tok-1", 7011, '{"rate": 5}')
    assert (queue.last, queue.waiting) == ("7011 queued", 1)
    assert fates(queue) == [("tok-1", "queued", "")]
    assert queue.write(pipe.writer)
    assert (queue.last, queue.waiting) == ("7011 written", 0)
    assert fates(queue) == [("tok-1", "written", "")]
    written = pipe.read()
    assert sdk.decode_task(written[4:]) == (7011, "demo", '{"rate": 5}', "tok-1")
    assert (queue.written_count, queue.written_bytes) == (1, len(written))
    others = [reply(n="1"), reply(n="2")]
    answer = reply(token="tok-1", status="succeed", msg="rate 5/s")
    now.ns = 12 * MS
    match(queue, [*others, answer, *others])
    assert queue.last == '7011 -> succeed: "rate 5/s" in 12 ms'
    assert fates(queue) == [("tok-1", "replied", 'succeed: "rate 5/s"')]
    assert queue.statuses()[0].elapsed_ms == 12


@pytest.mark.parametrize("vector", VECTORS["tasks"], ids=lambda vector: vector["id"])
def test_writes_what_the_agent_writes(pipe: TaskPipe, vector: dict[str, Any], now: Now) -> None:
    queue = TaskQueue(vector["object_name"], "tok-", now)
    queue.put(vector["token"], vector["data_type"], vector["data"])
    queue.write(pipe.writer)
    assert pipe.read().hex() == vector["hex"]


def test_tasks_that_do_not_fit_the_pipe_are_written_in_pieces(
    pipe: TaskPipe, queue: TaskQueue
) -> None:
    texts = [str(number) * 3_000 for number in range(9)]
    for number, text in enumerate(texts):
        queue.put(f"tok-{number}", 1, text)
    stream = b""
    while not queue.write(pipe.writer):
        got = pipe.read()
        assert got
        stream += got
    stream += pipe.read()
    read = []
    while stream:
        end = PREFIX.size + PREFIX.unpack_from(stream)[0]
        read.append(sdk.decode_task(stream[PREFIX.size : end]).data)
        stream = stream[end:]
    assert read == texts
    assert queue.written_count == 9


def test_replies_are_matched_in_any_order_and_only_once(
    pipe: TaskPipe, queue: TaskQueue, now: Now
) -> None:
    for number in (1, 2):
        queue.put(f"tok-{number}", 7000 + number, "")
    queue.write(pipe.writer)
    both = [reply(token="tok-2", status="failed"), reply(token="tok-1", status="succeed")]
    now.ns = 3 * MS
    match(queue, both)
    assert queue.last == "7001 -> succeed in 3 ms"
    assert fates(queue) == [("tok-1", "replied", "succeed"), ("tok-2", "replied", "failed")]
    now.ns = 9 * MS
    match(queue, [reply(token="tok-2", status="succeed")])
    assert queue.last == "7001 -> succeed in 3 ms"


def test_a_token_elsewhere_in_a_record_is_no_reply(
    pipe: TaskPipe, queue: TaskQueue, now: Now
) -> None:
    queue.put("tok-1", 1, "")
    queue.write(pipe.writer)
    match(
        queue,
        [reply(msg="tok-1"), reply(token="tok-11"), b"\x09\x00\x00\x00\xfftok-1\xff\xff\xff"],
    )
    assert queue.last == "1 written"
    now.ns = MS
    match(queue, [reply(msg="tok-1", token="tok-1")])
    assert queue.last == '1 -> replied: "tok-1" in 1 ms'


@pytest.mark.parametrize("data_type", [2001, 2003, 5100, 5101, 6000, 8010])
def test_a_server_knows_a_reply_by_its_data_type(
    pipe: TaskPipe, queue: TaskQueue, data_type: int
) -> None:
    queue.put("tok-1", 1, "")
    queue.write(pipe.writer)
    match(queue, [record_frame({"token": "tok-1", "data": "[]"}, 8000)])
    note = "its token came in a record of type 8000, which is no reply"
    assert fates(queue) == [("tok-1", "written", note)]
    match(queue, [record_frame({"token": "tok-1", "status": "succeed"}, data_type)])
    assert fates(queue) == [("tok-1", "replied", "succeed")]


def test_a_reply_cannot_obey_the_terminal(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 1, "")
    queue.write(pipe.writer)
    match(queue, [reply(token="tok-1", status="\x1b]0;x\x07", msg="a\nb[/red]" + "x" * 500)])
    assert queue.last.isprintable()
    assert len(queue.last) < 150


def test_refuses_more_tasks_than_a_plugin_that_does_not_read_may_have(queue: TaskQueue) -> None:
    for number in range(tasks.MAX_TASKS):
        queue.put(f"tok-{number}", 1, "")
    with pytest.raises(PluginError, match=f"has not read {tasks.MAX_TASKS} earlier tasks"):
        queue.put("tok-x", 1, "")
    assert queue.waiting == tasks.MAX_TASKS


def test_refuses_more_bytes_than_a_plugin_that_does_not_read_may_have(queue: TaskQueue) -> None:
    queue.put("tok-1", 1, "x" * (tasks.MAX_BYTES // 2))
    with pytest.raises(PluginError, match="refused"):
        queue.put("tok-2", 1, "x" * (tasks.MAX_BYTES // 2))


def test_takes_a_single_task_as_long_as_the_official_sdk_does_and_none_longer(
    queue: TaskQueue,
) -> None:
    overhead = len(encode_task(1, "demo", "x" * 1_000_000, "tok-1")) - 1_000_000
    queue.put("tok-1", 1, "x" * (1024 * 1024 - overhead))
    with pytest.raises(PluginError, match="a task of 1048577 bytes is refused"):
        queue.put("tok-2", 1, "x" * (1024 * 1024 - overhead + 1))


@pytest.mark.parametrize(("data_type", "data"), [(2**40, ""), (1, "\udc80")])
def test_refuses_what_is_no_task(queue: TaskQueue, data_type: int, data: str) -> None:
    with pytest.raises(UsageError, match="not a task"):
        queue.put("tok-1", data_type, data)
    assert (queue.last, queue.statuses()) == ("", ())


# Strict: the agent hands a task over only while nothing is being written.


def test_strict_rejects_a_task_while_the_one_before_is_not_written(
    pipe: TaskPipe, queue: TaskQueue
) -> None:
    queue.put("tok-1", 1, "", strict=True)
    with pytest.raises(PluginError) as caught:
        queue.put("tok-2", 1, "", strict=True)
    assert caught.value.message == "plugin is processing task or context has been cancled"
    queue.write(pipe.writer)
    queue.put("tok-3", 1, "", strict=True)
    assert [one.token for one in queue.statuses()] == ["tok-1", "tok-3"]


def test_strict_accepts_three_tasks_of_30_kb_for_a_plugin_that_never_reads(
    queue: TaskQueue,
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    accepted = 0
    for number in range(10):
        try:
            queue.put(f"tok-{number}", 1, "x" * 30_000, strict=True)
        except PluginError:
            continue
        accepted += 1
        queue.write(writer)
    assert accepted == 3
    assert (queue.written_count, queue.waiting) == (2, 1)
    os.close(reader)
    os.close(writer)


def test_strict_has_the_same_words_for_a_plugin_that_is_gone(queue: TaskQueue) -> None:
    queue.close("it has exited")
    with pytest.raises(PluginError, match="plugin is processing task or context has been cancled"):
        queue.put("tok-1", 1, "", strict=True)


# The end.


def test_a_plugin_that_goes_away_loses_its_tasks(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 7011, "")
    queue.write(pipe.writer)
    queue.give_up("it has exited")
    assert queue.last == "7011 lost: it has exited"
    with pytest.raises(PluginError, match="takes no tasks: it has exited"):
        queue.put("tok-2", 7011, "")
    match(queue, [reply(token="tok-1", status="succeed")])
    assert fates(queue) == [("tok-1", "lost", "it has exited")]


def test_a_plugin_that_takes_no_more_tasks_can_still_reply(
    pipe: TaskPipe, queue: TaskQueue
) -> None:
    queue.put("tok-1", 1, "")
    queue.write(pipe.writer)
    queue.put("tok-2", 2, "")
    queue.close("asked to stop")
    assert fates(queue) == [("tok-1", "written", ""), ("tok-2", "lost", "asked to stop")]
    match(queue, [reply(token="tok-1", status="succeed")])
    assert fates(queue)[0] == ("tok-1", "replied", "succeed")


def test_of_many_tasks_the_oldest_are_given_up_and_forgotten(
    pipe: TaskPipe, queue: TaskQueue
) -> None:
    count = tasks.MAX_AWAITED + 1
    for number in range(count):
        queue.put(f"tok-{number}", 1, "")
        queue.write(pipe.writer)
        pipe.read()
    assert len(queue.statuses()) == tasks.KEPT
    match(queue, [reply(token="tok-0"), reply(token="tok-1")])
    assert queue.statuses()[0] == ("tok-1", 1, "replied", "replied", 0)


def test_a_pipe_without_a_reader_is_told(queue: TaskQueue) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    queue.put("tok-1", 1, "")
    with pytest.raises(BrokenPipeError):
        queue.write(writer)
    os.close(writer)
