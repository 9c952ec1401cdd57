"""Walk through docs/tour.md in a terminal: type what it says, and see what it promises.

    python scripts/tour.py [--pictures] [--deadline SECONDS] [PAGE]

The page is the script: blocks marked `sh` are typed at a shell, blocks marked `keys` are pressed,
and the lines of the `text` block that follows must be on the screen together before its deadline;
`…` stands for anything within a line. Exits with 1 at the first step that fails, naming it
and showing the screen. With --pictures, the pictures the page names are taken on the way.

Needs tmux and, for this page, root. The terminal is one of its own and is gone afterwards with
all that was started in it.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "tour.md"
SIZE = (120, 40)
DEADLINE_S = 30.0
"""Time a step has unless told otherwise; all but those that compile take less than a second."""
ENDING_S = 5.0
"""Time what was started has to end by itself."""
LOOK_EVERY_S = 0.05

_PIECE = re.compile(
    r"^## (?P<heading>[^\n]+)$|^!\[[^]]*\]\((?P<picture>[^)]+)\)$"
    r"|^```(?P<sort>\w*)\n(?P<content>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TICK = threading.Event()
_KEY = re.compile(r'"([^"]*)"|(\S+)')
_NAMES = {
    "enter": "Enter",
    "escape": "Escape",
    "tab": "Tab",
    "down": "Down",
    "up": "Up",
    "space": "Space",
}
"""The page's names of keys, and tmux's."""


class TourError(Exception):
    """The page cannot be walked, or a step did not do what it says."""


class Key(NamedTuple):
    """A key, or text that is typed."""

    text: str
    literal: bool


class Step(NamedTuple):
    """Something done, and what is to be on the screen then."""

    heading: str
    sort: str
    """`sh` or `keys`."""
    content: str
    wanted: tuple[str, ...]
    pictures: tuple[str, ...] = ()
    """Taken when it is there."""


def keys_of(content: str) -> list[Key]:
    """The keys of a block.

    Raises:
        TourError: something follows `escape` before the screen was looked at; a terminal would
            take the two for one key.
    """
    keys = [_key(quoted, bare) for quoted, bare in _KEY.findall(content)]
    if Key("Escape", False) in keys[:-1]:
        raise TourError(f"what follows escape needs a block of its own: {content.strip()}")
    return keys


def _key(quoted: str, bare: str) -> Key:
    if not bare:
        return Key(quoted, True)
    if bare.startswith("ctrl+"):
        return Key(f"C-{bare.removeprefix('ctrl+')}", False)
    if bare in _NAMES:
        return Key(_NAMES[bare], False)
    if len(bare) > 1:
        raise TourError(
            f"{bare} is no key: known are {', '.join(_NAMES)}, ctrl+KEY, and characters"
        )
    return Key(bare, True)


def steps_of(page: str) -> list[Step]:
    """The steps of a page.

    Raises:
        TourError: something is done and nothing says what is to be seen then.
    """
    steps: list[Step] = []
    heading, doing = "", None
    for piece in _PIECE.finditer(page):
        if piece["heading"]:
            heading = piece["heading"]
        elif piece["picture"] and steps:
            steps[-1] = steps[-1]._replace(pictures=(*steps[-1].pictures, piece["picture"]))
        elif piece["sort"] in ("sh", "keys"):
            if doing is not None:
                break
            doing = (piece["sort"], piece["content"])
        elif piece["sort"] == "text" and doing is not None:
            steps.append(Step(heading, *doing, tuple(piece["content"].splitlines())))
            doing = None
    if doing is not None:
        raise TourError(f"{heading}: nothing says what is to be seen after: {doing[1].strip()}")
    for step in steps:
        if step.sort == "keys":
            keys_of(step.content)
    if not steps:
        raise TourError("there is no step on this page")
    return steps


def missing(wanted: Sequence[str], screen: str) -> list[str]:
    """The wanted lines that are not on the screen; `…` stands for anything within a line."""
    return [line for line in wanted if not re.search(_pattern(line), screen)]


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, re.split(r"\s*…\s*", line.strip())))


class Terminal:
    """A shell in a tmux server of its own.

    Args:
        directory: Where its socket is, and the shell begins.
    """

    def __init__(self, directory: Path) -> None:
        program = shutil.which("tmux")
        if program is None:
            raise TourError("tmux is not installed; as root type: apt-get install -y tmux")
        self._tmux = (program, "-S", str(directory / "tmux"), "-f", os.devnull)
        environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PS1": "$ ",
            "XDG_CONFIG_HOME": str(directory / "config"),
            "TERM": "xterm-256color",
            "COLORTERM": "truecolor",
        }
        width, height = map(str, SIZE)
        self._run(
            *("new-session", "-d", "-x", width, "-y", height, "-c", str(directory)),
            *("env", "TERM=tmux-256color", "bash", "--norc", "--noprofile"),
            environment=environment,
        )
        self._server = int(self._run("display-message", "-p", "#{pid}"))

    def type(self, key: Key) -> None:
        """Press a key, or type some text."""
        self._run("send-keys", *(("-l",) if key.literal else ()), "--", key.text)

    def screen(self, *, styled: bool = False) -> str:
        """What is on the screen."""
        return self._run("capture-pane", "-p", *(("-e",) if styled else ()))

    def close(self) -> None:
        """End the shell with all that runs in it; kill what stays."""
        started: list[psutil.Process] = []
        with suppress(psutil.NoSuchProcess, TourError):  # it may have ended with its shell
            started = psutil.Process(self._server).children(recursive=True)
            self._run("kill-server")
        _gone, staying = psutil.wait_procs(started, timeout=ENDING_S)
        for process in staying:
            process.kill()

    def _run(self, *arguments: str, environment: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            [*self._tmux, *arguments], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise TourError(f"tmux {arguments[0]}: {done.stderr.strip()}")
        return done.stdout


def carry_out(step: Step, terminal: Terminal, deadline_s: float) -> None:
    """Do what a step says and wait for what it promises.

    Raises:
        TourError: it did not appear; tells what, and shows the screen.
    """
    if step.sort == "sh":
        for line in step.content.splitlines():
            terminal.type(Key(line, True))
            terminal.type(Key("Enter", False))
    else:
        for key in keys_of(step.content):
            terminal.type(key)
    end = time.monotonic() + deadline_s
    while absent := missing(step.wanted, screen := terminal.screen()):
        if time.monotonic() > end:
            raise TourError(
                f"{step.heading}: after {step.content.strip()!r}"
                f" this is not on the screen: {' / '.join(absent)}\n{screen}"
            )
        _TICK.wait(LOOK_EVERY_S)


def take_picture(screen: str, path: Path, title: str) -> None:
    """Write a screen as SVG."""
    width, height = SIZE
    with open(os.devnull, "w") as nowhere:
        console = Console(
            file=nowhere,
            record=True,
            width=width,
            height=height,
            color_system="truecolor",
            force_terminal=True,
            legacy_windows=False,
        )
        console.print(Text.from_ansi(screen, no_wrap=True), soft_wrap=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        console.save_svg(str(path), title=title)


def walk(page: Path, *, pictures: bool, deadline_s: float) -> int:
    """Walk through a page; returns the number of steps.

    Raises:
        TourError: a step failed.
    """
    steps = steps_of(page.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="tour-") as name:
        directory = Path(name)
        (directory / "fixtures").symlink_to(ROOT / "fixtures")
        terminal = Terminal(directory)
        try:
            for step in steps:
                carry_out(step, terminal, deadline_s)
                for picture in step.pictures if pictures else ():
                    screen = terminal.screen(styled=True)
                    take_picture(screen, page.parent / picture, step.heading)
        finally:
            terminal.close()
    return len(steps)


def main() -> int:
    """Walk; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", nargs="?", type=Path, default=PAGE)
    parser.add_argument("--pictures", action="store_true", help="take the pictures it names")
    parser.add_argument("--deadline", type=float, default=DEADLINE_S, help="seconds a step has")
    chosen = parser.parse_args()
    begun = time.monotonic()
    try:
        steps = walk(chosen.page, pictures=chosen.pictures, deadline_s=chosen.deadline)
    except (TourError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{chosen.page.name}: {steps} steps in {time.monotonic() - begun:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
