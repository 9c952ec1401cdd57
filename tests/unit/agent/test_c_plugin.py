"""A plugin in C that has nothing from here but the protocol."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from engine.agent.host import PluginHost
from tests.unit.agent.support import records, row, running_host, wait_for_records
from tests.waiting import wait_until

SOURCE = Path(__file__).parent / "c" / "echo.c"
COMPILER = shutil.which("cc")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("c") / "echo"
    assert COMPILER is not None
    subprocess.run([COMPILER, "-O2", "-Wall", "-Werror", "-o", built, SOURCE], check=True)
    return built


def test_it_is_heard_given_tasks_and_heard_out(host: PluginHost, echo: Path) -> None:
    host.load(echo, detail="tea")
    (hello,) = wait_for_records(host, "echo", 1)
    assert (hello["data_type"], hello["fields"], hello["faults"]) == (7000, {"detail": "tea"}, ())
    texts = ["", "milk", "x" * 100_000, "über\x00"]
    for text in texts:
        host.send_task("echo", 7010, text)
    wait_until(lambda: [one.state for one in host.tasks("echo")] == ["replied"] * len(texts))
    host.unload("echo")
    wait_until(lambda: not row(host, "echo"))
    sent = records(host, "echo")
    assert [one["data_type"] for one in sent] == [7000, 5100, 5100, 5100, 5100, 7001]
    assert [one["fields"]["msg"] for one in sent[1:5]] == ["", "milk", "x" * 4095 + "…", "über␀"]
    assert all(one["faults"] == () for one in sent)
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("exit_code"), last.get("error"), last.get("dropped")) == (0, "", 0)


def test_with_the_agents_stop_its_goodbye_is_lost(echo: Path) -> None:
    with running_host(faithful=True) as faithful:
        faithful.load(echo)
        wait_for_records(faithful, "echo", 1)
        faithful.unload("echo")
        wait_until(lambda: not row(faithful, "echo"))
        assert [one["data_type"] for one in records(faithful, "echo")] == [7000]
        # It dies of SIGPIPE, as a program in C that was not told to ignore it, unless it had
        # written its goodbye between the closing of the one pipe and of the other.
        last = faithful.rings["plugin_state"].since(0).records[-1]
        assert last.get("exit_code") in (-13, 0)
        assert last.get("error") == ""
