"""`boxscope events`: stream kernel events."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engine.core.errors import FailedError
from engine.core.settings import load_settings
from tui.cli.events_list import list_events
from tui.cli.export_options import exporting
from tui.cli.output import choose_output
from tui.cli.printing import Printing, printed
from tui.cli.stream import StreamOptions, StreamRunner

if TYPE_CHECKING:
    from engine.core.records import Record
    from engine.engine import Engine
    from engine.live import LiveEngine

Subscriptions = tuple[tuple[str, str], ...]

_NAMED = 8
"""Subscriptions up to which each is named when they are announced."""


@click.command("events")
@click.option(
    "-e",
    "--event",
    "events",
    multiple=True,
    metavar="NAME[:CATEGORY]",
    help="Event to subscribe, also with wildcards, as in 'syscall_exit-*:net', or a preset, as in "
    "@network; may be given several times. Default: @story.",
)
@click.option(
    "--preset", "presets", multiple=True, metavar="NAME", help="A named set: the same as -e @NAME."
)
@click.option(
    "--subscriptions",
    "files",
    multiple=True,
    metavar="YAML",
    type=click.Path(path_type=Path),
    help="A file with subscriptions, such as the configuration of Kindling's agent.",
)
@click.option("--pid", "pids", type=int, multiple=True, help="Only events of this process.")
@click.option("--follow", is_flag=True, help="Also of the children it has from now on, and theirs.")
@click.option(
    "--comm", "comms", multiple=True, metavar="NAME", help="Only events of threads of this name."
)
@click.option("--failed", is_flag=True, help="Of calls that return, only those that failed.")
@click.option("--faithful", is_flag=True, help="Understand and filter events as Kindling does.")
@click.option(
    "--snaplen", type=int, metavar="BYTES", help="Keep so much of what a call reads or writes."
)
@click.option(
    "--fault-interval", type=int, metavar="N", help="Tell every N-th page fault of a process."
)
@click.option(
    "--segment-interval",
    "segment_interval_s",
    type=float,
    metavar="SECONDS",
    help="Between two reports of a socket's segments; 0 for every segment.",
)
@click.option("--cost", is_flag=True, help="Tell at the end what the kernel programs took.")
@click.option(
    "--list", "list_", is_flag=True, help="List the events, and what this kernel can deliver."
)
@exporting
@printed
def command(
    events: tuple[str, ...],
    presets: tuple[str, ...],
    files: tuple[Path, ...],
    pids: tuple[int, ...],
    follow: bool,
    comms: tuple[str, ...],
    failed: bool,
    faithful: bool,
    snaplen: int | None,
    fault_interval: int | None,
    segment_interval_s: float | None,
    cost: bool,
    list_: bool,
    printing: Printing,
    otlp: dict[str, object],
) -> int:
    """Stream kernel events as they happen."""
    if list_:
        return list_events(printing.as_json)
    from engine.live import LiveEngine
    from engine.probe.filters import Filters
    from engine.selection import Selection

    subscriptions, suppressed = asked_subscriptions(events, presets, files, faithful=faithful)
    filters = Filters(
        tgids=frozenset(pids),
        follow=follow,
        comms=frozenset(comms),
        excluded_comms=suppressed,
        failed_only=failed,
        faithful=faithful,
    )
    filters.check()
    selection = Selection(probe=True, subscriptions=subscriptions, filters=filters)
    settings = load_settings(
        {
            "snaplen": snaplen,
            "fault_interval": fault_interval,
            "segment_interval_s": segment_interval_s,
            **otlp,
        }
    )
    engine = LiveEngine(selection, settings.values)
    told = partial(announcement, engine, subscriptions, faithful=faithful, cost=cost)
    options = _options(engine, printing, told, cost=cost)
    return StreamRunner(engine, choose_output(printing.as_json), options).run_or_fail("probe")


def _options(
    engine: LiveEngine, printing: Printing, told: Callable[[], Iterable[str]], *, cost: bool
) -> StreamOptions:
    """What is printed, from when the probe runs until it cannot any more."""
    return StreamOptions(
        ("kernel_event",),
        printing.seconds,
        printing.count,
        filter_text=printing.filter_text,
        ready=lambda: _state(engine) != "starting",
        done=lambda: _state(engine) == "failed",
        announce=told,
        tables=("probe_state",),
        conclude=lambda: _costs(engine) if cost else (),
    )


def _state(engine: Engine) -> str:
    return engine.snapshot().sources["probe"].state


def asked_subscriptions(
    events: Iterable[str], presets: Iterable[str], files: Iterable[Path], *, faithful: bool
) -> tuple[Subscriptions, frozenset[str]]:
    """Everything asked for, or the default if nothing is, and the names of threads not wanted.

    Raises:
        UsageError: some of it means nothing.
    """
    from engine.probe.patterns import PRESET_MARK, parse, preset_named
    from engine.probe.subscription_file import read_subscriptions

    asked = [parse(text, faithful=faithful) for text in events]
    asked += [(PRESET_MARK + preset_named(name).name, "") for name in presets]
    suppressed: set[str] = set()
    for file in files:
        read = read_subscriptions(file, faithful=faithful)
        asked += read.subscriptions
        suppressed.update(read.suppressed_comms)
    return tuple(dict.fromkeys(asked)) or ((f"{PRESET_MARK}story", ""),), frozenset(suppressed)


def announcement(
    engine: Engine, subscriptions: Subscriptions, *, faithful: bool, cost: bool = False
) -> Iterable[str]:
    """What is subscribed now, and what of it this kernel cannot deliver.

    Raises:
        FailedError: nothing of it can be delivered.
    """
    from engine.probe.patterns import cells_of_all

    if cost:
        engine.time_programs(True)
    rows = {
        (row.get("event"), row.get("category")): row
        for row in engine.snapshot().tables["subscription"]
    }
    asked = [
        rows[cell.event.name, cell.category.label]
        for cell in cells_of_all(subscriptions, faithful=faithful)
    ]
    on = [row for row in asked if row.get("on")]
    missing = list(_missing(asked))
    if missing and not on:
        raise FailedError(
            f"nothing of what was asked for can be delivered: {'; '.join(missing)}",
            fix="boxscope events --list tells what can",
        )
    yield f"subscribed: {_subscribed(subscriptions, on)}"
    for each in missing:
        yield f"not available: {each}"


def _missing(asked: Iterable[Record]) -> Iterator[str]:
    """Why some of what was asked for cannot be delivered, each reason with its events."""
    reasons: dict[str, list[str]] = {}
    for row in asked:
        if row.get("unavailable"):
            reasons.setdefault(str(row.get("unavailable")), []).append(str(row.get("event")))
    for reason, names in reasons.items():
        yield f"{_some(list(dict.fromkeys(names)))}: {reason}"


def _subscribed(subscriptions: Subscriptions, on: Sequence[Record]) -> str:
    """What is subscribed, as it was asked for, and how much that is if it is not the same."""
    shown = [":".join(part for part in pair if part) for pair in subscriptions]
    text = ", ".join(shown) if len(shown) <= _NAMED else f"{len(shown)} subscriptions"
    if len(on) != len(shown):
        names = {row.get("event") for row in on}
        text += f" ({_number(len(names), 'event')}, {_number(len(on), 'switch', 'switches')})"
    return text


def _costs(engine: LiveEngine) -> Iterable[str]:
    """What each kernel program that ran took, the dearest first."""
    costs = sorted(engine.program_costs().items(), key=lambda item: -item[1].run_ns)
    for name, cost in costs:
        if cost.runs:
            each = cost.run_ns / cost.runs
            total = cost.run_ns / 1e6
            yield f"{name}: {_number(cost.runs, 'run')}, {total:.1f} ms, {each:.0f} ns each"


def _number(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
