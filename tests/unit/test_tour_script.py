"""The script that walks through a page: what it takes for a step, and how it fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "tour.py"
GREETING = "## Greeting\n\n```sh\nx=there; echo hello $x\n```\n\n```text\n{}\n```\n"
KEYS = "## Keys\n\n```keys\n{}\n```\n\n```text\nanything\n```\n"

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def walk(page: Path, text: str, *options: str) -> subprocess.CompletedProcess[str]:
    page.write_text(text)
    return subprocess.run(
        [sys.executable, str(SCRIPT), *options, str(page)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@needs_tmux
def test_a_page_that_is_true_is_walked_to_its_end(tmp_path: Path) -> None:
    keys = '## Typing\n\n```keys\n"echo again" enter\n```\n\n```text\nag…n\n```\n'
    done = walk(tmp_path / "page.md", GREETING.format("hello there") + keys)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("page.md: 2 steps")


@needs_tmux
def test_a_text_that_does_not_appear_fails_naming_step_and_screen(tmp_path: Path) -> None:
    done = walk(tmp_path / "page.md", GREETING.format("hello nobody"), "--deadline", "1")
    assert done.returncode == 1
    assert "Greeting: after 'x=there; echo hello $x'" in done.stderr
    assert "not on the screen: hello nobody" in done.stderr
    assert "\nhello there\n" in done.stderr


@needs_tmux
def test_a_page_that_ends_its_shell_is_told_so(tmp_path: Path) -> None:
    done = walk(tmp_path / "page.md", "## End\n\n```sh\nexit\n```\n\n```text\nnever\n```\n")
    assert done.returncode == 1
    assert done.stderr.startswith("tmux capture-pane: ")
    assert "Traceback" not in done.stderr


@needs_tmux
def test_what_a_page_starts_is_gone_afterwards(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    commands = f"sleep 1000 & echo $! > {mark}; echo star''ted"
    page = f"## Start\n\n```sh\n{commands}\n```\n\n```text\nstarted\n```\n"
    assert walk(tmp_path / "page.md", page).returncode == 0
    assert not Path("/proc", mark.read_text().strip()).exists()


@needs_tmux
def test_pictures_are_taken_where_the_page_has_them(tmp_path: Path) -> None:
    page = GREETING.format("hello there") + "\n![Hello](pictures/hello.svg)\n"
    assert walk(tmp_path / "page.md", page, "--pictures").returncode == 0
    assert "there" in (tmp_path / "pictures" / "hello.svg").read_text()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("# Nothing to do\n", "there is no step"),
        ("## Do\n\n```sh\ntrue\n```\n", "Do: nothing says what is to be seen after: true"),
        (KEYS.format("escape x"), "what follows escape needs a block of its own"),
        (KEYS.format("hyper"), "hyper is no key"),
    ],
)
def test_a_page_that_cannot_be_walked_is_refused(tmp_path: Path, page: str, says: str) -> None:
    done = walk(tmp_path / "page.md", page)
    assert done.returncode == 1
    assert says in done.stderr
