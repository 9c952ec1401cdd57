"""What a plugin wrote before its end is read to the end, whoever else holds the pipe."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from engine.agent.host import PluginHost
from tests.unit.agent.support import (
    REPOSITORY,
    process_exists,
    record_frame,
    records,
    row,
    shell_plugin,
    wait_for_state,
)
from tests.waiting import wait_until

SOURCE = REPOSITORY / "tests" / "perf" / "c" / "writer.c"
RUNS = 200
FRAMES = [record_frame({"n": f"{number:04d}", "pad": "x" * 190}) for number in range(292)]
BLOCK = b"".join(FRAMES)


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that writes a file to its record pipe in one go, and is gone."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    built = tmp_path_factory.mktemp("c") / "writer"
    subprocess.run([compiler, "-O2", "-o", built, SOURCE], check=True)
    return built


def test_nothing_is_lost_of_a_program_that_writes_a_pipe_full_and_exits(
    host: PluginHost, writer: Path, tmp_path: Path
) -> None:
    assert 64_000 < len(BLOCK) <= 65_536
    block = tmp_path / "block"
    block.write_bytes(BLOCK)
    for attempt in range(1, RUNS + 1):
        host.load(writer, name="hasty", detail=f"-1 {block}")
        shown = wait_for_state(host, "hasty", "exited")
        assert (shown["exit_code"], shown["tx_count"], shown["dropped"]) == (0, len(FRAMES), 0)
        assert shown["tx_bytes"] == len(BLOCK) - 4 * len(FRAMES)
        assert host.counters().kept == attempt * len(FRAMES)
    store = host.rings["plugin_record"]
    newest = [host.raw(store.last_seq - len(FRAMES) + 1 + index) for index in range(len(FRAMES))]
    assert newest == [one[4:] for one in FRAMES]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process_exists(pid))


def test_a_child_that_holds_the_pipe_does_not_keep_the_plugin(
    host: PluginHost, tmp_path: Path
) -> None:
    (tmp_path / "block").write_bytes(BLOCK)
    lines = ("sleep 1000 &", "echo $! >&2", f"cat '{tmp_path}/block' >&4")
    host.load(shell_plugin(tmp_path, "parent", *lines))
    shown = wait_for_state(host, "parent", "exited")
    try:
        assert (shown["tx_count"], shown["dropped"]) == (len(FRAMES), 0)
    finally:
        kill(int(shown["last_stderr"]))


def test_a_child_that_goes_on_writing_does_not_keep_it_either(
    host: PluginHost, tmp_path: Path
) -> None:
    (tmp_path / "block").write_bytes(BLOCK)
    # The child ignores that the pipe is closed and writes for ever.
    lines = (
        f"(trap '' PIPE; while :; do cat '{tmp_path}/block' >&4 2>/dev/null; done) &",
        "echo $! >&2",
        "sleep 0.1",
    )
    host.load(shell_plugin(tmp_path, "parent", *lines))
    wait_until(lambda: row(host, "parent")["tx_count"] > len(FRAMES))
    shown = wait_for_state(host, "parent", "exited")
    try:
        assert shown["exit_code"] == 0
        counted = row(host, "parent")["tx_count"]
        # Another plugin is heard as before, and nothing more comes from the child.
        host.load(shell_plugin(tmp_path, "next", f"cat '{tmp_path}/block' >&4"))
        assert wait_for_state(host, "next", "exited")["tx_count"] == len(FRAMES)
        assert len(records(host, "next")) == len(FRAMES)
        assert row(host, "parent")["tx_count"] == counted
    finally:
        kill(int(shown["last_stderr"]))
