"""Go programs and plugins built by real toolchains, for tests and for comparisons."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from engine.modules.opening import INIT_PANICS
from engine.modules.outcome import Verdict

ROOT = Path(__file__).resolve().parents[2]
TOOLCHAINS = ROOT / ".venv" / "go"
SOURCES = Path(__file__).with_name("sources")
GO, OTHER_GO = "1.26.6", "1.27.3"
"""Two minor versions, which scripts/toolchains.sh installs."""
BUILD_S = 300.0
OPEN_S = 60.0
"""Deadlines; nothing is decided by them but failure."""


class Missing(Exception):
    """A toolchain is not here."""


class BuildFailed(Exception):
    """A toolchain refused what it was given."""


@dataclass(frozen=True)
class Observed:
    """What the real `plugin.Open` did with one file."""

    outcome: str
    """As a verdict names it."""
    text: str = ""


@dataclass
class Workshop:
    """Builds each thing once, in a directory that later runs do not see."""

    folder: Path
    _built: dict[str, tuple[object, ...]] = field(default_factory=dict)

    def host(self, name: str = "host", *flags: str, go: str = GO, cgo: bool = True) -> Path:
        """A program that opens what it is given."""
        return self._build(name, "host", flags, go, cgo)

    def program(self, name: str, source: str, *, go: str = GO) -> Path:
        """Any other program."""
        return self._build(name, source, (), go)

    def plugin(self, name: str, *flags: str, source: str = "plug", go: str = GO) -> Path:
        """A plugin."""
        return self._build(name, source, ("-buildmode=plugin", *flags), go)

    def c_shared(self, name: str) -> Path:
        """A C library written in Go."""
        return self._build(name, "shared", ("-buildmode=c-shared",), GO)

    def c_library(
        self, name: str, source: str = "int answer(void) { return 42; }", *flags: str
    ) -> Path:
        """A C library written in C."""
        output = self.folder / name
        if not output.exists():
            gcc = _tool("gcc")
            command = [gcc, "-shared", "-fPIC", "-o", str(output), "-x", "c", "-", *flags]
            _run(command, self.folder, None, source)
        return output

    def stripped(self, file: Path, name: str) -> Path:
        """A copy without anything that a loader can do without."""
        output = self.folder / name
        if not output.exists():
            _run([_tool("strip"), "--strip-all", "-o", str(output), str(file)], self.folder, None)
        return output

    def _build(
        self, name: str, source: str, flags: tuple[str, ...], go: str, cgo: bool = True
    ) -> Path:
        output, recipe = self.folder / name, (source, flags, go, cgo)
        if name in self._built:
            assert self._built[name] == recipe, f"{name} is built in two ways"
            return output
        _tool("gcc")
        root = TOOLCHAINS / go
        compiler = root / "bin" / "go"
        if not compiler.exists():
            raise Missing(f"Go {go} is not in {TOOLCHAINS}: scripts/toolchains.sh installs it")
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.folder),
            "GOROOT": str(root),
            "GOCACHE": str(TOOLCHAINS / "cache"),
            "GOTOOLCHAIN": "local",
            "GOENV": "off",
            "GOWORK": "off",
            "GOPROXY": "off",
            "GOFLAGS": "-buildvcs=false",
            "CGO_ENABLED": "1" if cgo else "0",
        }
        command = [str(compiler), "build", *flags, "-o", str(output), "."]
        _run(command, SOURCES / source, environment)
        self._built[name] = recipe
        return output


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise Missing(f"{name} is missing; as root type: apt-get install -y gcc libc6-dev")
    return found


def _run(
    command: list[str], folder: Path, environment: dict[str, str] | None, text: str = ""
) -> None:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        input=text,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(f"{' '.join(command)}:\n{done.stderr}")


def observe(host: Path, files: list[str], folder: Path) -> list[Observed]:
    """What the real `plugin.Open` of a host does with files, one after the other.

    The process is killed, and the test fails, if it does not end by itself: a file that is opened
    for ever is told by the host.
    """
    done = subprocess.run(
        [str(host), *files],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "GOTRACEBACK": "none"},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=OPEN_S,
        check=False,
    )
    lines = [line.partition("\t") for line in done.stdout.splitlines()]
    said = [(what, text) for what, _, text in lines if what not in ("opening", "end")]
    seen = [_observed(what, text) for what, text in said]
    if len(seen) < len(files):
        assert done.returncode != 0, done.stdout
        assert [text for what, _, text in lines if what == "opening"] == files[: len(seen) + 1]
        seen.append(Observed("kills-host", _last_words(done.stderr)))
        seen += [Observed("not-reached")] * (len(files) - len(seen))
    return seen


def same_words(verdict: Verdict, seen: Observed) -> bool:
    """Whether it was said that the host would say this.

    What a panic says no file tells, and a host whose memory was written over may die of that
    before it comes to what it would have said.
    """
    if verdict.text == INIT_PANICS:
        return seen.text.startswith(INIT_PANICS)
    if verdict.overwritten and seen.outcome == "kills-host":
        return seen.text.startswith(("fatal error: ", "panic: ", "SIG"))
    return seen.text in (verdict.text, *verdict.or_texts)


def _observed(what: str, text: str) -> Observed:
    outcome = {"panics": "kills-host", "cannot": "host-cannot"}.get(what, what)
    return Observed(outcome, text)


def _last_words(stderr: str) -> str:
    """The line with which the run time, or a sanitiser (`==PID==`), says why it ends."""
    for line in stderr.splitlines():
        sanitiser = re.fullmatch(r"==\d+==(.*?)(?: \(0x[0-9a-f]+\):)?", line)
        if sanitiser:
            return sanitiser[1]
        if line.startswith(("fatal error: ", "SIGBUS: ", "SIGSEGV: ", "panic: ")):
            return line
    return stderr
