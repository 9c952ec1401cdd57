"""Every command of the page for plugin authors works, and prints what the page says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "plugin-author.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SEPARATOR = "@@@@ next block @@@@"


def steps() -> Iterator[tuple[str, list[str]]]:
    """Each block of commands, and the lines it is to print (`…` stands for anything)."""
    commands: str | None = None
    for language, content in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if commands is not None:
            yield commands, content.splitlines() if language == "text" else []
        commands = content if language == "sh" else None
    if commands is not None:
        yield commands, []


def missing(wanted: list[str], printed: str) -> list[str]:
    """The wanted lines that were not printed in that order."""
    lines = iter(printed.splitlines())
    patterns = [".*".join(map(re.escape, re.split(r"\s*…\s*", line))) for line in wanted]
    return [
        line
        for line, pattern in zip(wanted, patterns, strict=True)
        if not any(re.search(pattern, one) for one in lines)
    ]


def test_the_page_works_from_top_to_bottom(tmp_path: Path) -> None:
    page = list(steps())
    assert len(page) >= 8
    script = f"\necho '{SEPARATOR}'\n".join(commands for commands, _ in page)
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["/bin/sh", "-e"],
        input=script,
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    printed = done.stdout.split(SEPARATOR)
    assert len(printed) == len(page)
    for (commands, wanted), output in zip(page, printed, strict=True):
        assert missing(wanted, output) == [], commands + output


@pytest.mark.parametrize(
    ("wanted", "absent"),
    [(["a … c"], []), (["d"], []), (["a", "d"], []), (["d", "a"], ["a"]), (["x"], ["x"])],
)
def test_a_line_that_is_not_printed_is_noticed(wanted: list[str], absent: list[str]) -> None:
    assert missing(wanted, "a b c\nd\n") == absent
