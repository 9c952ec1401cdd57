"""`boxscope engine` and `boxscope attach` as processes of their own, without the probe's rights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fixtures
from tests.leftovers import own_temporary_files

BOXSCOPE = [sys.executable, "-m", "tui.cli"]
FLOOD = Path(fixtures.__file__).parent / "plugins" / "flood"
WITHOUT_PROBE = (
    ["setpriv", "--inh-caps=-all", "--bounding-set=-sys_admin,-bpf,-perfmon"]
    if os.geteuid() == 0
    else []
)


@contextmanager
def running_engine(
    path: Path, *flags: str, rights: list[str] = WITHOUT_PROBE
) -> Iterator[subprocess.Popen[str]]:
    """An engine that listens; ended with the block if it has not been."""
    command = [*rights, *BOXSCOPE, "engine", "--socket", str(path), "--json", *flags]
    with (
        own_temporary_files() as environment,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            env=environment,
        ) as child,
    ):
        try:
            assert child.stderr is not None
            said = child.stderr.readline()
            assert f"process {child.pid}, listens at {path}" in said, said
            yield child
        finally:
            if child.poll() is None:
                child.kill()
            child.communicate()


def attach(path: Path, *flags: str, module: str = "tui.cli") -> subprocess.Popen[str]:
    """A headless console."""
    return subprocess.Popen(
        [sys.executable, "-m", module, "attach", "--socket", str(path), "--headless", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(child: subprocess.Popen[str]) -> list[dict[str, Any]]:
    """What a command prints until it ends."""
    return [json.loads(line) for line in child.communicate(timeout=60)[0].splitlines()]


def source(stats: dict[str, Any], name: str) -> dict[str, Any]:
    """The counters of a source, which reconcile."""
    assert stats["kind"] == "stats"
    counters = stats["sources"][name]
    assert counters["seen"] == counters["kept"] + sum(counters["dropped"].values())
    return dict(counters)
