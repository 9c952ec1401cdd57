"""Tasks: queued without waiting, written whole, matched with their replies by token."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from itertools import accumulate

import pytest

from engine.agent import sdk, tasks
from engine.agent.tasks import TaskQueue
from engine.agent.wire import PREFIX
from engine.core.errors import PluginError, UsageError
from tests.unit.agent.support import record_frame

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


@pytest.fixture
def queue() -> TaskQueue:
    return TaskQueue("demo", "tok-")


def reply(**fields: str) -> bytes:
    return record_frame(fields, sdk.REPLY)


def match(queue: TaskQueue, frames: list[bytes], now_ns: int) -> None:
    queue.match_replies(b"".join(frames), list(accumulate(map(len, frames), initial=0)), now_ns)


def test_a_task_goes_from_queued_to_written_to_replied(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 7011, '{"rate": 5}', 0)
    assert queue.last == "7011 queued"
    assert queue.write(pipe.writer)
    assert queue.last == "7011 written"
    written = pipe.read()
    assert sdk.decode_task(written[4:]) == (7011, "demo", '{"rate": 5}', "tok-1")
    assert (queue.written_count, queue.written_bytes) == (1, len(written))
    others = [reply(n="1"), reply(n="2")]
    answer = reply(token="tok-1", status="succeed", msg="rate 5/s")
    match(queue, [*others, answer, *others], 12 * MS)
    assert queue.last == '7011 -> succeed: "rate 5/s" in 12 ms'


def test_tasks_that_do_not_fit_the_pipe_are_written_in_pieces(
    pipe: TaskPipe, queue: TaskQueue
) -> None:
    texts = [str(number) * 3_000 for number in range(9)]
    for number, text in enumerate(texts):
        queue.put(f"tok-{number}", 1, text, 0)
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


def test_replies_are_matched_in_any_order_and_only_once(pipe: TaskPipe, queue: TaskQueue) -> None:
    for number in (1, 2):
        queue.put(f"tok-{number}", 7000 + number, "", 0)
    queue.write(pipe.writer)
    both = [reply(token="tok-2", status="failed"), reply(token="tok-1", status="succeed")]
    match(queue, both, 3 * MS)
    assert queue.last == "7001 -> succeed in 3 ms"
    match(queue, [reply(token="tok-2", status="succeed")], 9 * MS)
    assert queue.last == "7001 -> succeed in 3 ms"


def test_a_token_elsewhere_in_a_record_is_no_reply(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 1, "", 0)
    queue.write(pipe.writer)
    match(
        queue,
        [reply(msg="tok-1"), reply(token="tok-11"), b"\x09\x00\x00\x00\xfftok-1\xff\xff\xff"],
        MS,
    )
    assert queue.last == "1 written"
    match(queue, [reply(msg="tok-1", token="tok-1")], MS)
    assert queue.last == '1 -> replied: "tok-1" in 1 ms'


def test_a_reply_cannot_obey_the_terminal(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 1, "", 0)
    queue.write(pipe.writer)
    match(queue, [reply(token="tok-1", status="\x1b]0;x\x07", msg="a\nb" + "x" * 500)], MS)
    assert queue.last.isprintable()
    assert len(queue.last) < 150


def test_refuses_more_tasks_than_a_plugin_that_does_not_read_may_have(queue: TaskQueue) -> None:
    for number in range(tasks.MAX_TASKS):
        queue.put(f"tok-{number}", 1, "", 0)
    with pytest.raises(PluginError, match=f"has not read {tasks.MAX_TASKS} earlier tasks"):
        queue.put("tok-x", 1, "", 0)


def test_refuses_more_bytes_than_a_plugin_that_does_not_read_may_have(queue: TaskQueue) -> None:
    queue.put("tok-1", 1, "x" * (tasks.MAX_BYTES // 2), 0)
    with pytest.raises(PluginError, match="refused"):
        queue.put("tok-2", 1, "x" * (tasks.MAX_BYTES // 2), 0)


@pytest.mark.parametrize(("data_type", "data"), [(2**40, ""), (1, "\udc80")])
def test_refuses_what_is_no_task(queue: TaskQueue, data_type: int, data: str) -> None:
    with pytest.raises(UsageError, match="not a task"):
        queue.put("tok-1", data_type, data, 0)
    assert queue.last == ""


def test_a_plugin_that_goes_away_loses_its_tasks(pipe: TaskPipe, queue: TaskQueue) -> None:
    queue.put("tok-1", 7011, "", 0)
    queue.write(pipe.writer)
    queue.close("it has exited")
    assert queue.last == "7011 lost: it has exited"
    with pytest.raises(PluginError, match="takes no tasks: it has exited"):
        queue.put("tok-2", 7011, "", 0)
    match(queue, [reply(token="tok-1", status="succeed")], MS)
    assert queue.last == "7011 lost: it has exited"


def test_a_pipe_without_a_reader_is_told(queue: TaskQueue) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    queue.put("tok-1", 1, "", 0)
    with pytest.raises(BrokenPipeError):
        queue.write(writer)
    os.close(writer)
