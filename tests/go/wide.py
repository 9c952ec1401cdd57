"""Many hosts against many plugins: the verdict and the real `plugin.Open`, side by side.

    python -m tests.go.wide [--sequences N] [--seed N] [--jobs N] [GO_VERSION...]

Builds hosts and plugins with every named Go version that is under `.venv/go`, lets every host open
every file in a process of its own, then opens random sequences of files in one process each. Prints
the numbers and every disagreement; ends with 1 if there is one. Not a part of `make test`: it takes
many minutes.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import functools
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from engine.modules.host import Host, read_host
from engine.modules.opening import HostProcess
from engine.modules.outcome import Verdict
from tests.go.workshop import TOOLCHAINS, BuildFailed, Observed, Workshop, observe, same_words

_LONGEST_SEQUENCE = 5
_SHOWN_EVERY = 500


Trial = tuple[str, tuple[str, ...]]
"""A host, and the files it opens in one process."""


@dataclass
class Tally:
    """What was compared."""

    compared: collections.Counter[str] = field(default_factory=collections.Counter)
    disagreements: list[str] = field(default_factory=list)
    died_as_warned: int = 0
    """Hosts that died of memory that was written over, where the verdict said that they may."""

    def merge(self, other: Tally) -> None:
        """Add what another one counted."""
        self.compared += other.compared
        self.disagreements += other.disagreements
        self.died_as_warned += other.died_as_warned

    def add(
        self, host: str, files: tuple[str, ...], said: list[Verdict], seen: list[Observed]
    ) -> None:
        """Compare one process."""
        for index, (verdict, happened) in enumerate(zip(said, seen, strict=True)):
            self.compared[verdict.outcome] += 1
            if verdict.outcome == "unknown":
                return
            if verdict.overwritten and happened.outcome == "kills-host" != verdict.outcome:
                self.died_as_warned += 1
                return
            if verdict.outcome != happened.outcome or not same_words(verdict, happened):
                self.disagreements.append(
                    f"{host} opens {' '.join(files[: index + 1])}:\n"
                    f"  said      {verdict.outcome} {verdict.text!r}\n"
                    f"  happened  {happened.outcome} {happened.text!r}"
                )
                return  # whatever follows is about another process


def _hosts(shop: Workshop, go: str) -> Iterator[Path]:
    recipes: dict[str, tuple[str, ...]] = {
        "host": (),
        "stripped": ("-ldflags=-s -w",),
        "pie": ("-buildmode=pie",),
        "trimpath": ("-trimpath",),
        "race": ("-race",),
        "noopt": ("-gcflags=all=-N -l",),
        "pro": ("-tags=pro",),
        "plain": ("-tags=noplugin",),
    }
    for name, flags in recipes.items():
        yield shop.host(f"{go}-{name}", *flags, go=go)
    yield shop.host(f"{go}-static", go=go, cgo=False)


def _plugins(shop: Workshop, go: str) -> Iterator[Path]:
    recipes: dict[str, tuple[str, ...]] = {
        "plug": (),
        "newer": ("-modfile=newer.mod",),
        "trimpath": ("-trimpath",),
        "trimpath-newer": ("-trimpath", "-modfile=newer.mod"),
        "race": ("-race",),
        "noopt": ("-gcflags=all=-N -l",),
        "noopt-main": ("-gcflags=-N -l",),
        "tag": ("-tags=unrelated",),
        "pro": ("-tags=pro",),
        "small": ("-ldflags=-s -w",),
        "renamed": ("-ldflags=-pluginpath=renamed",),
    }
    for name, flags in recipes.items():
        yield shop.plugin(f"{go}-{name}.so", *flags, go=go)
    for source in ("second", "panics", "symbols"):
        yield shop.plugin(f"{go}-{source}.so", source=source, go=go)
    yield shop.stripped(shop.folder / f"{go}-newer.so", f"{go}-newer-stripped.so")


def _others(shop: Workshop, go: str) -> Iterator[Path]:
    """Files that are no plugins of their own."""
    plugin = shop.folder / f"{go}-plug.so"
    copy, link, cut = (shop.folder / f"{name}.so" for name in ("copy", "link", "cut"))
    copy.write_bytes(plugin.read_bytes())
    os.link(plugin, link)
    cut.write_bytes(plugin.read_bytes()[:50_000])
    yield from (copy, link, cut)
    yield shop.c_library("c.so")
    yield shop.c_library("sanitised.so", "int other(void) { return 1; }", "-fsanitize=address")
    yield shop.c_shared("go.so")
    yield shop.host(f"{go}-host", go=go)


class Comparison:
    """Hosts and files that were built."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._hosts: list[str] = []
        self._files: list[str] = []

    def build(self, versions: list[str]) -> None:
        """Build everything with every version."""
        shop = Workshop(self._folder)
        for go in versions:
            _say(f"building with Go {go}")
            self._hosts += [host.name for host in _hosts(shop, go)]
            self._files += [file.name for file in _plugins(shop, go)]
        self._files += [file.name for file in _others(shop, versions[0])]

    def pairs(self) -> list[Trial]:
        """Every host with every file, in a process of its own."""
        return [(host, (file,)) for host in self._hosts for file in self._files]

    def sequences(self, count: int, seed: int) -> list[Trial]:
        """Random files in random hosts that can open plugins, most of them of the host's Go."""
        choice = random.Random(seed)
        able = [name for name in self._hosts if not name.endswith(("plain", "static"))]
        trials = []
        for _ in range(count):
            host = choice.choice(able)
            own = [file for file in self._files if file.split("-")[0] == host.split("-")[0]]
            files = own if choice.random() < 0.7 else self._files
            length = choice.randint(2, _LONGEST_SEQUENCE)
            trials.append((host, tuple(choice.choices(files, k=length))))
        return trials


def compare(trials: list[Trial], jobs: int) -> Tally:
    """Carry trials out, in as many processes as `jobs` says."""
    total = Tally()
    with concurrent.futures.ProcessPoolExecutor(jobs) as pool:
        for index, tally in enumerate(pool.map(_compare, trials, chunksize=8), 1):
            total.merge(tally)
            if index % _SHOWN_EVERY == 0:
                _say(f"{index} of {len(trials)}")
    return total


def _compare(trial: Trial) -> Tally:
    """One process of a host, in the directory where all files are."""
    name, files = trial
    panics = frozenset(Path(each) for each in files if "panics" in each)
    process = HostProcess(_host(name), panics)
    said = [process.open(file) for file in files]
    tally = Tally()
    tally.add(name, files, said, observe(Path(name).resolve(), list(files), Path.cwd()))
    return tally


@functools.cache
def _host(name: str) -> Host:
    return read_host(Path(name))


def main() -> int:
    """Build, compare, report."""
    parser = argparse.ArgumentParser(prog="tests.go.wide")
    parser.add_argument("versions", nargs="*", metavar="GO_VERSION")
    parser.add_argument("--sequences", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    here = sorted(each.parents[1].name for each in TOOLCHAINS.glob("*/bin/go"))
    versions = asked.versions or here
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        comparison = Comparison(Path(folder))
        try:
            comparison.build(versions)
        except BuildFailed as error:
            _say(str(error))
            return 2
        pairs = compare(comparison.pairs(), asked.jobs)
        _report("pairs", pairs)
        sequences = compare(comparison.sequences(asked.sequences, asked.seed), asked.jobs)
        _report("opened in sequences", sequences)
    return 1 if pairs.disagreements or sequences.disagreements else 0


def _report(what: str, tally: Tally) -> None:
    for each in tally.disagreements:
        _say(each)
    counts = ", ".join(f"{count} {outcome}" for outcome, count in tally.compared.most_common())
    total = sum(tally.compared.values())
    _say(
        f"{what}: {total} ({counts}), {tally.died_as_warned} died of overwritten memory as warned, "
        f"{len(tally.disagreements)} disagreements"
    )


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
