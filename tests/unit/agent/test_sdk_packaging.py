"""The SDK travels: as a file beside a plugin, inside a zip application, or in a zip archive."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import zipapp
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.agent import sdk
from engine.agent.config import PluginConfig
from engine.agent.host import PluginHost
from tests.unit.agent.artifacts import sha256, web_server
from tests.unit.agent.support import (
    row,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until

BODY = """
from sdk import Client
import sdk, os
with Client() as client:
    client.send_record(7000, {"sdk": sdk.__file__, "environ": " ".join(sorted(os.environ))})
    client.flush()
    while (task := client.receive_task()) is not None:
        client.reply(task, True, task.data)
"""


def first_line() -> str:
    return f"#!{sys.executable}\n"


def copied_beside(directory: Path) -> Path:
    shutil.copy(sdk.__file__, directory / "sdk.py")
    return script(directory, BODY)


def zip_application(directory: Path) -> Path:
    source = directory / "source"
    source.mkdir()
    shutil.copy(sdk.__file__, source / "sdk.py")
    (source / "__main__.py").write_text(BODY)
    path = directory / "demo"
    zipapp.create_archive(source, path, interpreter=sys.executable, compressed=True)
    return path


def zip_on_the_path(directory: Path) -> Path:
    with zipfile.ZipFile(directory / "lib.zip", "w") as archive:
        archive.write(sdk.__file__, "sdk.py")
    return script(directory, f"import sys; sys.path.insert(0, '{directory}/lib.zip')\n{BODY}")


def script(directory: Path, body: str) -> Path:
    path = directory / "demo"
    path.write_text(first_line() + body)
    path.chmod(0o700)
    return path


@pytest.mark.parametrize("pack", [copied_beside, zip_application, zip_on_the_path])
@pytest.mark.parametrize("detail", ["", "tea"])
def test_a_plugin_takes_its_sdk_along(
    host: PluginHost, tmp_path: Path, pack: Callable[[Path], Path], detail: str
) -> None:
    host.load(pack(tmp_path), detail=detail)
    (record,) = wait_for_records(host, "demo", 1)
    assert record["fields"]["sdk"].startswith(str(tmp_path))
    assert (record["fields"]["environ"] in ("DETAIL", "DETAIL LC_CTYPE")) is bool(detail)
    host.send_task("demo", 1, "tea")
    wait_until(lambda: '-> succeed: "tea"' in row(host, "demo")["last_task"])
    host.unload("demo")
    wait_until(lambda: not row(host, "demo"))
    last = host.rings["plugin_state"].since(0).records[-1]
    assert (last.get("exit_code"), last.get("error")) == (0, "")


def test_a_zip_application_can_be_deployed_as_a_single_executable(
    host: PluginHost, tmp_path: Path
) -> None:
    content = zip_application(tmp_path).read_bytes()
    with web_server({"/demo": content}) as web:
        host.load_config(
            PluginConfig(
                name="demo",
                version="1",
                sha256=sha256(content),
                download_urls=(web.url("/demo"),),
                detail="tea",
            )
        )
        wait_for_records(host, "demo", 1)


def test_a_plugin_can_outlive_the_signals_that_stop_its_agent(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(
        write_plugin(
            tmp_path,
            "tough",
            """
            sdk.TERMINATE_S = 1.0
            client = sdk.Client(ignore_terminate=True)
            client.send_record(7000, {"word": "ready"})
            client.flush()
            while (task := client.receive_task()) is not None:
                client.reply(task, True, "still here")
                client.send_record(7000, {"word": "not flushed"})
            """,
        )
    )
    wait_for_records(host, "tough", 1)
    pid = row(host, "tough")["pid"]
    for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
        os.kill(pid, number)
    host.send_task("tough", 1, "")
    wait_until(lambda: "still here" in row(host, "tough")["last_task"])
    shown = wait_for_state(host, "tough", "exited")
    assert (shown["exit_code"], shown["tx_count"]) == (0, 3)
