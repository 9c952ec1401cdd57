"""Every benchmark with a budget, and one table of what came out.

    .venv/bin/python -m tests.perf.bench [NAME ...] [--page FILE]

Each benchmark runs in a process of its own and prints what it measures; the table goes to the end
of the output and, where all have been run, between two marks of docs/costs.md. Figures are of one
run on one machine, which the table names; nothing is decided by them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil

from tests.perf.rows import Row

NAMES = ("ingest", "probe", "discovery", "wasm", "console", "recording", "descriptors", "otlp")
SECONDS_OF = {"recording": 60.0}
PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
HEAD = ("what", "budget", "measured", "others", "kept")
_KEPT = {True: "yes", False: "**no**", None: ""}


def child(name: str, answer: Path) -> None:
    """Run one benchmark here and write its rows."""
    module = importlib.import_module(f"tests.perf.bench_{name}")
    seconds = SECONDS_OF.get(name)
    rows: list[Row] = module.measure(seconds) if seconds else module.measure()
    answer.write_text(json.dumps([row._asdict() for row in rows]))


def rows_of(name: str) -> list[Row]:
    """Run one benchmark in a process of its own; one that cannot run is a row, too."""
    with tempfile.TemporaryDirectory() as place:
        answer = Path(place, "rows.json")
        command = [sys.executable, "-m", "tests.perf.bench", "--child", name, str(answer)]
        begun = time.monotonic()
        sys.stdout.write(f"\n== {name}\n")
        sys.stdout.flush()
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
        sys.stdout.write(f"== {name} took {time.monotonic() - begun:.0f} s\n")
        if done.returncode == 0 and answer.exists():
            return [Row(**row) for row in json.loads(answer.read_text())]
    sys.stderr.write(done.stderr)
    said = done.stderr.strip().splitlines()
    return [Row(name, "", f"not measured: {said[-1][:200] if said else 'it ended early'}")]


def machine() -> str:
    """What the figures are of."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    gigabytes = psutil.virtual_memory().total / 1e9
    load = os.getloadavg()[1]
    return (
        f"{os.cpu_count()} x {model}, {gigabytes:.0f} GB, Linux {platform.release()}, Python "
        f"{platform.python_version()}, textual {metadata.version('textual')}, wasmtime "
        f"{metadata.version('wasmtime')}; {datetime.now(UTC):%Y-%m-%d}, load {load:.1f} meanwhile"
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table under a line that names the machine."""
    lines = [HEAD, tuple("---" for _ in HEAD)]
    lines += [(row.what, row.budget, row.measured, row.peers, _KEPT[row.holds]) for row in rows]
    cells = [[cell.replace("|", "\\|") for cell in line] for line in lines]
    shown = "\n".join(f"| {' | '.join(line)} |" for line in cells)
    return f"Measured on {machine()}.\n\n{shown}\n"


def write_page(page: Path, text: str) -> None:
    """Put the table between the marks of a page, which is made if there is none."""
    if not page.exists():
        page.write_text(
            "# What it costs\n\nMeasured by `make bench`, which writes this table:\n\n"
            f"{BEGIN}\n{END}\n"
        )
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{text}{END}{after}")


def main() -> None:
    """Run them all, or those named."""
    parser = argparse.ArgumentParser(description="Measure what boxscope costs.")
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="all, if none is named")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the table is written")
    parser.add_argument("--child", nargs=2, metavar=("NAME", "FILE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        child(chosen.child[0], Path(chosen.child[1]))
        return
    rows = [row for name in chosen.names or NAMES for row in rows_of(name)]
    text = table(rows)
    sys.stdout.write(f"\n{text}")
    if not chosen.names:
        write_page(chosen.page, text)


if __name__ == "__main__":
    main()
