"""The verdict on a file against a host equals what the real `plugin.Open` did.

Every trial builds a real host and real files, asks for the verdicts on opening them in order, and
then lets the host open them. Outcomes and texts must be the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.modules.opening import open_in_turn
from engine.modules.outcome import MEANINGS, Verdict
from tests.go.workshop import OTHER_GO, Observed, Workshop, observe, same_words
from tests.ledgers import VERDICT

_WIDTHS = (44, 16, 16)
_TEXT = 100
_ARM64 = b"\xb7\0"


@dataclass(frozen=True)
class Trial:
    """Files that one process opens."""

    title: str
    host: Callable[[Workshop], Path]
    files: Callable[[Workshop], list[Path]]
    outcomes: tuple[str, ...]
    """What is expected of each, so that verdict and host cannot be wrong together."""
    init_panics: bool = False
    """Whether initialising the first file panics, which the verdict has to be told."""


def host(shop: Workshop) -> Path:
    return shop.host()


def base(shop: Workshop) -> Path:
    return shop.plugin("plug.so")


def newer(shop: Workshop) -> Path:
    return shop.plugin("newer.so", "-modfile=newer.mod")


def beside(shop: Workshop, name: str, make: Callable[[Path], object]) -> Path:
    """A file that is made without a toolchain, once."""
    file = shop.folder / name
    if not file.exists() and not file.is_symlink():
        make(file)
    return file


def copied(shop: Workshop, file: Path, name: str) -> Path:
    return beside(shop, name, lambda new: shutil.copy(file, new))


def changed(shop: Workshop, file: Path, name: str, at: int, to: bytes) -> Path:
    content = file.read_bytes()
    return beside(
        shop, name, lambda new: new.write_bytes(content[:at] + to + content[at + len(to) :])
    )


def cut(shop: Workshop, file: Path, name: str, size: int) -> Path:
    return beside(shop, name, lambda new: new.write_bytes(file.read_bytes()[:size]))


def needing(shop: Workshop) -> Path:
    """A C library that needs another one, which is gone."""
    folder = shop.folder
    shop.c_library("libgone.so")
    needs = ("-L", str(folder), "-Wl,--no-as-needed", "-lgone")
    needy = shop.c_library("needy.so", "int other(void) { return 1; }", *needs)
    (folder / "libgone.so").rename(folder / "elsewhere.so")
    return needy


def lacking(shop: Workshop) -> Path:
    return shop.c_library("lacking.so", "int nobody(void); int asks(void) { return nobody(); }")


TRIALS = (
    Trial("matching pair", host, lambda shop: [base(shop)], ("opens",)),
    Trial("different dependency version", host, lambda shop: [newer(shop)], ("refused",)),
    Trial(
        "-trimpath on one side",
        host,
        lambda shop: [shop.plugin("trimpath.so", "-trimpath")],
        ("refused",),
    ),
    Trial("-race on one side", host, lambda shop: [shop.plugin("race.so", "-race")], ("refused",)),
    Trial(
        "stripped host",
        lambda shop: shop.host("host-stripped", "-ldflags=-s -w"),
        lambda shop: [base(shop)],
        ("opens",),
    ),
    Trial(
        "statically linked host",
        lambda shop: shop.host(
            "host-without-loader", "-ldflags=-linkmode=external -extldflags=-static"
        ),
        lambda shop: [base(shop)],
        ("kills-host",),
    ),
    Trial(
        "packed relocations",
        host,
        lambda shop: [
            shop.plugin("packed.so", "-ldflags=-s -w -extldflags=-Wl,-z,pack-relative-relocs")
        ],
        ("opens",),
    ),
    Trial(
        "stripped plugin",
        host,
        lambda shop: [shop.stripped(base(shop), "stripped.so")],
        ("opens",),
    ),
    Trial(
        "stripped host refuses stripped plugin",
        lambda shop: shop.host("host-stripped", "-ldflags=-s -w"),
        lambda shop: [shop.stripped(newer(shop), "newer-stripped.so")],
        ("refused",),
    ),
    Trial(
        "tag that changes nothing shared",
        host,
        lambda shop: [shop.plugin("tag.so", "-tags=unrelated")],
        ("opens",),
    ),
    Trial(
        "tag that changes a dependency",
        host,
        lambda shop: [shop.plugin("pro.so", "-tags=pro")],
        ("refused",),
    ),
    Trial(
        "newer Go minor version",
        host,
        lambda shop: [shop.plugin("newer-go.so", go=OTHER_GO)],
        ("kills-host",),
    ),
    Trial(
        "older Go minor version",
        lambda shop: shop.host("host-newer-go", go=OTHER_GO),
        lambda shop: [base(shop), base(shop)],
        ("kills-host", "not-reached"),
    ),
    Trial(
        "other Go minor version after a good one",
        host,
        lambda shop: [base(shop), shop.plugin("newer-go.so", go=OTHER_GO), base(shop)],
        ("opens", "refused", "opens"),
    ),
    Trial("C library", host, lambda shop: [shop.c_library("c.so")], ("kills-host",)),
    Trial(
        "C library after a good plugin",
        host,
        lambda shop: [base(shop), shop.c_library("c.so"), shop.c_library("c.so")],
        ("opens", "refused", "refused"),
    ),
    Trial(
        "C library after a refused plugin",
        host,
        lambda shop: [newer(shop), shop.c_library("c.so")],
        ("refused", "kills-host"),
    ),
    Trial("C library written in Go", host, lambda shop: [shop.c_shared("go.so")], ("kills-host",)),
    Trial(
        "truncated file",
        host,
        lambda shop: [cut(shop, base(shop), "cut.so", 100_000)],
        ("kills-host",),
    ),
    Trial(
        "file truncated behind all that is mapped",
        host,
        lambda shop: [cut(shop, base(shop), "tail.so", base(shop).stat().st_size - 100)],
        ("opens",),
    ),
    Trial(
        "host that does not import plugin",
        lambda shop: shop.host("host-plain", "-tags=noplugin"),
        lambda shop: [base(shop)],
        ("host-cannot",),
    ),
    Trial(
        "host built without cgo",
        lambda shop: shop.host("host-static", cgo=False),
        lambda shop: [base(shop), base(shop)],
        ("refused", "refused"),
    ),
    Trial(
        "first poisons the second",
        host,
        lambda shop: [newer(shop), base(shop)],
        ("refused", "refused"),
    ),
    Trial(
        "a refused one between two good ones",
        host,
        lambda shop: [base(shop), newer(shop), shop.plugin("second.so", source="second")],
        ("opens", "refused", "opens"),
    ),
    Trial(
        "previous failure",
        host,
        lambda shop: [newer(shop), newer(shop)],
        ("refused", "refused"),
    ),
    Trial(
        "copy of an open plugin",
        host,
        lambda shop: [base(shop), copied(shop, base(shop), "copy.so")],
        ("opens", "refused"),
    ),
    Trial(
        "links to an open plugin",
        host,
        lambda shop: [
            base(shop),
            beside(shop, "symbolic.so", lambda new: new.symlink_to(base(shop))),
            beside(shop, "hard.so", lambda new: os.link(base(shop), new)),
            beside(shop, "hard.so", Path.touch),
        ],
        ("opens", "opens", "refused", "refused"),
    ),
    Trial(
        "link to an open plugin after a refused copy",
        host,
        lambda shop: [
            base(shop),
            copied(shop, base(shop), "copy.so"),
            beside(shop, "harder.so", lambda new: os.link(base(shop), new)),
        ],
        ("opens", "refused", "kills-host"),
    ),
    Trial(
        "hard link of a refused plugin",
        host,
        lambda shop: [newer(shop), beside(shop, "bad.so", lambda new: os.link(newer(shop), new))],
        ("refused", "kills-host"),
    ),
    Trial(
        "initialisation panics, then opened again",
        host,
        lambda shop: [shop.plugin("panics.so", source="panics")] * 2,
        ("kills-host", "hangs"),
        init_panics=True,
    ),
    Trial(
        "symbol missing, then opened again",
        host,
        lambda shop: [shop.plugin("renamed.so", "-ldflags=-pluginpath=renamed")] * 2,
        ("refused", "hangs"),
    ),
    Trial("missing file", host, lambda shop: [shop.folder / "nowhere.so"], ("refused",)),
    Trial("directory", host, lambda shop: [shop.folder], ("refused",)),
    Trial("empty file", host, lambda shop: [beside(shop, "empty.so", Path.touch)], ("refused",)),
    Trial(
        "no ELF file",
        host,
        lambda shop: [beside(shop, "text.so", lambda new: new.write_text("text " * 100))],
        ("refused",),
    ),
    Trial("program", host, lambda shop: [shop.host()], ("refused",)),
    Trial("position-independent program", host, lambda _: [Path("/usr/bin/env")], ("refused",)),
    Trial(
        "other processor",
        host,
        lambda shop: [changed(shop, base(shop), "arm64.so", 18, _ARM64)],
        ("refused",),
    ),
    Trial(
        "32-bit file",
        host,
        lambda shop: [changed(shop, base(shop), "narrow.so", 4, b"\1")],
        ("refused",),
    ),
    Trial("library is missing", host, lambda shop: [needing(shop)], ("refused",)),
    Trial("symbol of nobody", host, lambda shop: [lacking(shop)], ("refused",)),
)


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.title)
def test_the_verdict_is_what_happens(
    trial: Trial,
    workshop: Workshop,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    monkeypatch.chdir(workshop.folder)
    program, files = trial.host(workshop), trial.files(workshop)
    names = [_given(file, workshop) for file in files]
    panics = files[:1] if trial.init_panics else []
    verdicts = open_in_turn(program, names, panics)
    happened = observe(program, names, workshop.folder)
    for name, verdict, seen in zip(names, verdicts, happened, strict=True):
        record_property(VERDICT, _row(trial.title, name, verdict, seen))
    assert [verdict.outcome for verdict in verdicts] == [seen.outcome for seen in happened]
    for verdict, seen in zip(verdicts, happened, strict=True):
        assert same_words(verdict, seen), (verdict, seen)
    assert tuple(seen.outcome for seen in happened) == trial.outcomes


def _given(file: Path, shop: Workshop) -> str:
    """The name as a host is given it: relative where it can be, since errors repeat it."""
    return str(file.relative_to(shop.folder)) if file.parent == shop.folder else str(file)


def _row(title: str, name: str, verdict: Verdict, seen: Observed) -> str:
    said, happened = MEANINGS[verdict.outcome], MEANINGS[seen.outcome]  # type: ignore[index]
    cells = (f"{title}: {Path(name).name}", said, happened)
    shown = [cell.ljust(width)[:width] for cell, width in zip(cells, _WIDTHS, strict=True)]
    return "  ".join((*shown, seen.text[:_TEXT]))
