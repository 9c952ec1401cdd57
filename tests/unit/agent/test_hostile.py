"""Text a plugin chose cannot reach a terminal as anything but text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.agent.host import PluginHost
from engine.core.errors import BoxscopeError
from tests.unit.agent.support import (
    WAIT_FOR_THE_END,
    row,
    running_host,
    shell_plugin,
    wait_for_records,
    wait_for_state,
    write_plugin,
)
from tests.waiting import wait_until

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31m[/red][bold]\u202egnp.exe\x9b1m\r\n\0"

SHOUTING = """
EVIL = {evil!r}
print(EVIL, file=sys.stderr, flush=True)
client = sdk.Client()
client.send_record(7000, {{EVIL: EVIL, "plain": "[/red]"}})
client.flush()
while (task := client.receive_task()) is not None:
    client.reply(task, False, EVIL)
client.close()
"""


def texts(value: Any) -> list[str]:
    """Every text in a JSON value, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in texts(part)]
    return []


def assert_harmless(value: Any) -> None:
    for text in texts(value):
        assert text.isprintable(), repr(text)
        assert "\u202e" not in text


def test_fields_stderr_and_replies_are_made_harmless(host: PluginHost, tmp_path: Path) -> None:
    host.load(write_plugin(tmp_path, "shouting", SHOUTING.format(evil=EVIL)))
    (record,) = wait_for_records(host, "shouting", 1)
    assert_harmless(record)
    # What only looks like markup stays as it was written: no reader parses it.
    assert record["fields"]["plain"] == "[/red]"
    (key,) = record["fields"].keys() - {"plain"}
    assert "␛]0;owned␇␛[2J␛[31m[/red][bold]" in key == record["fields"][key]
    host.send_task("shouting", 1, EVIL)
    wait_until(lambda: "->" in row(host, "shouting")["last_task"])
    wait_until(lambda: row(host, "shouting")["stderr"])
    shown = row(host, "shouting")
    assert any("␛[2J␛[31m[/red][bold]" in line for line in shown["stderr"])
    assert_harmless(shown)
    assert_harmless([status._asdict() for status in host.tasks("shouting")])
    assert_harmless(host.stderr("shouting"))
    host.unload("shouting")
    wait_until(lambda: not row(host, "shouting"))
    for kind in ("plugin_record", "plugin_state"):
        for one in host.rings[kind].since(0).records:
            assert_harmless(json.loads(json.dumps(one.as_json())))


def test_the_name_a_process_gives_itself_is_made_harmless(host: PluginHost, tmp_path: Path) -> None:
    lines = ("printf '\\033[2J[/red]' > /proc/$$/comm", WAIT_FOR_THE_END)
    host.load(shell_plugin(tmp_path, "masked", *lines))
    wait_until(lambda: "[/red]" in (row(host, "masked").get("comm") or ""))
    assert row(host, "masked")["comm"] == "␛[2J[/red]"


@pytest.mark.parametrize("evil", ["\x1b]0;x\x07", "[/red]\n"])
def test_error_messages_are_made_harmless(host: PluginHost, tmp_path: Path, evil: str) -> None:
    path = tmp_path / f"{evil}"
    with pytest.raises(BoxscopeError) as caught:
        host.load(path, name="odd")
    assert str(caught.value).isprintable()
    assert_harmless(row(host, "odd"))
    with pytest.raises(BoxscopeError) as caught:
        host.send_task(evil, 1, "")
    assert str(caught.value).isprintable()


def test_an_interpreter_cannot_write_to_the_terminal_either(
    host: PluginHost, tmp_path: Path
) -> None:
    path = shell_plugin(tmp_path, "odd", "exit 0")
    path.write_text("#!/no/\x1b]0;x\x07\n")
    with pytest.raises(BoxscopeError) as caught:
        host.load(path)
    assert str(caught.value).isprintable()


# A plugin that does not read its tasks.


def send_until_refused(host: PluginHost, name: str, data: str) -> int:
    """How many tasks a plugin is given until one is refused."""
    for accepted in range(1_000):
        try:
            host.send_task(name, 1, data)
        except BoxscopeError as refused:
            if "has not read" in refused.message:
                return accepted
            raise
    raise AssertionError("no task was refused")


@pytest.mark.fault("plugin that reads no tasks")
def test_a_plugin_that_reads_no_tasks_stalls_nobody(tmp_path: Path) -> None:
    lines = (f"echo $$ > '{tmp_path}/pid'", "exec sleep 1000")
    with running_host() as host:
        host.load(shell_plugin(tmp_path, "deaf", *lines))
        host.load(
            write_plugin(
                tmp_path,
                "echo",
                """
                client = sdk.Client()
                while (task := client.receive_task()) is not None:
                    client.reply(task, True, str(len(task.data)))
                client.close()
                """,
            )
        )
        big = "x" * 30_000
        accepted = send_until_refused(host, "deaf", big)
        for number in range(20):
            host.send_task("echo", number, big)
        wait_until(
            lambda: [one.state for one in host.tasks("echo")] == ["replied"] * 20, deadline_s=10
        )
        shown = row(host, "deaf")
        # Two tasks of 30 KB fit the pipe; 1 MiB waits behind them.
        assert shown["rx_count"] == 2
        assert shown["tasks_waiting"] == accepted - 2
        assert accepted >= 30
        assert [one.state for one in host.tasks("deaf")] == ["written"] * 2 + ["queued"] * (
            accepted - 2
        )
        host.unload("deaf", grace_s=0.1)
        wait_until(lambda: not row(host, "deaf"))
        wait_for_state(host, "echo", "running")


def test_strict_rejects_what_an_agent_rejects(host: PluginHost, tmp_path: Path) -> None:
    host.load(shell_plugin(tmp_path, "deaf", "exec sleep 1000"))
    accepted = 0
    for _ in range(3):
        # An agent's worker is idle again as soon as the pipe has taken the task.
        wait_until(lambda: row(host, "deaf")["tasks_waiting"] == 0)
        host.send_task("deaf", 1, "x" * 30_000, strict=True)
        accepted += 1
    for _ in range(5):
        with pytest.raises(BoxscopeError) as caught:
            host.send_task("deaf", 1, "x" * 30_000, strict=True)
        assert caught.value.message == "plugin is processing task or context has been cancled"
    assert accepted == 3
    assert row(host, "deaf")["tasks_waiting"] == 1
    assert [one.state for one in host.tasks("deaf")] == ["written", "written", "queued"]
    host.unload("deaf", grace_s=0)
    wait_until(lambda: not row(host, "deaf"))


def test_strict_has_the_same_words_for_a_plugin_that_has_exited(
    host: PluginHost, tmp_path: Path
) -> None:
    host.load(shell_plugin(tmp_path, "brief", "exit 0"))
    wait_for_state(host, "brief", "exited")
    with pytest.raises(BoxscopeError, match="plugin is processing task or context"):
        host.send_task("brief", 1, "", strict=True)
