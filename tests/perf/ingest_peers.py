"""What the ingest benchmark runs against the plugin host: programs in C, and files of records."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from engine.agent.sdk import encode_record
from engine.agent.wire import PREFIX
from tests.go.workshop import GO, TOOLCHAINS

SOURCES = Path(__file__).parent / "c"
BLOCK_BYTES = 4 * 1024 * 1024
DATA_TYPES = (42, 59, 601, 4000, 7001)
SPREAD = 0.35
"""Of the logarithm of a record's length."""


class Programs(NamedTuple):
    """The compiled programs."""

    writer: Path
    reader: Path
    go_reader: Path | None
    """None without a Go toolchain."""


class Block(NamedTuple):
    """A file of whole frames."""

    path: Path
    body_bytes: float
    """Mean length of a body."""


class Rate(NamedTuple):
    """What a reader reached."""

    records: float
    """Per second."""
    cpu: float
    """Cores it used."""


def build(directory: Path) -> Programs:
    """Compile the programs."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("the benchmark needs a C compiler: apt-get install gcc")
    programs = Programs(directory / "writer", directory / "reader", build_go(directory))
    for program in (programs.writer, programs.reader):
        source = SOURCES / f"{program.name}.c"
        flags = ("-O2", "-Wall", "-Wextra", "-Werror")
        subprocess.run([compiler, *flags, "-o", str(program), str(source)], check=True)
    return programs


def build_go(directory: Path) -> Path | None:
    """Compile the reader in Go, where there is a toolchain."""
    installed = TOOLCHAINS / GO / "bin" / "go"
    go = str(installed) if installed.exists() else shutil.which("go")
    if go is None:
        return None
    program = directory / "go-reader"
    places = {"GOCACHE": str(directory / "go-cache"), "GOPATH": str(directory / "go-path")}
    subprocess.run(
        [go, "build", "-o", program, SOURCES.parent / "go" / "reader.go"],
        check=True,
        env={**os.environ, **places, "GOTOOLCHAIN": "local"},
    )
    return program


def write_block(path: Path, size: int) -> Block:
    """Write records whose bodies have about `size` bytes, as real ones of several types."""
    chance = random.Random(size)
    overhead = len(encode_record(7001, 1_700_000_000, {"number": "0" * 8, "padding": ""}))
    count = written = 0
    with path.open("wb") as opened:
        while written < BLOCK_BYTES:
            length = int(size * chance.lognormvariate(-SPREAD * SPREAD / 2, SPREAD))
            fields = {"number": f"{count:08d}", "padding": "x" * max(0, length - overhead)}
            body = encode_record(chance.choice(DATA_TYPES), 1_700_000_000 + count, fields)
            written += opened.write(PREFIX.pack(len(body)) + body)
            count += 1
    return Block(path, written / count - PREFIX.size)


def run_reader(programs: Programs, mode: str, block: Block, seconds: float) -> Rate:
    """What the reader in C reaches: `read`, `parse` or `keep`."""
    return _run([programs.reader, mode, str(seconds), programs.writer, block.path], block)


def run_go_reader(program: Path, programs: Programs, block: Block, seconds: float) -> Rate:
    """What the reader in Go reaches."""
    return _run([program, str(seconds), programs.writer, block.path], block)


def _run(command: list[str | Path], block: Block) -> Rate:
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    records, size, elapsed, busy = map(float, answer.split()[:4])
    count = records or size / (block.body_bytes + PREFIX.size)
    return Rate(count / elapsed, busy / elapsed)
