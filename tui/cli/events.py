"""`boxscope events`: stream kernel events."""

from __future__ import annotations

import click

from engine.core.settings import load_settings
from tui.cli.options import bounded, json_option
from tui.cli.output import JsonOutput, choose_output, write_table
from tui.cli.stream import StreamOptions, StreamRunner


@click.command("events")
@click.option(
    "-e",
    "--event",
    "events",
    multiple=True,
    metavar="NAME[:CATEGORY]",
    help="Event to subscribe; may be given several times. Default: a set that tells a story.",
)
@click.option("--pid", "pids", type=int, multiple=True, help="Only events of this process.")
@click.option("--list", "list_", is_flag=True, help="List the events and end.")
@bounded
@json_option
def command(
    events: tuple[str, ...],
    pids: tuple[int, ...],
    list_: bool,
    seconds: float | None,
    count: int | None,
    as_json: bool,
) -> int:
    """Stream kernel events as they happen."""
    from engine.probe.catalogue import STORY, parse_subscription

    if list_:
        return _list(as_json)
    from engine.live import LiveEngine, Selection

    subscriptions = tuple(parse_subscription(text) for text in events) or STORY
    selection = Selection(probe=True, subscriptions=subscriptions, pids=frozenset(pids))
    engine = LiveEngine(selection, load_settings().values)
    options = StreamOptions(
        ("kernel_event",),
        seconds,
        count,
        ready=lambda: engine.snapshot().sources["probe"].state != "starting",
        done=lambda: engine.snapshot().sources["probe"].state == "failed",
        announce=f"subscribed: {', '.join(_shown(pair) for pair in subscriptions)}",
    )
    return StreamRunner(engine, choose_output(as_json), options).run_or_fail("probe")


def _shown(pair: tuple[str, str]) -> str:
    return ":".join(part for part in pair if part)


def _list(as_json: bool) -> int:
    from engine.probe.catalogue import EVENTS

    rows = [(event.name, " ".join(event.categories), event.help) for event in EVENTS]
    if as_json:
        output = JsonOutput()
        for name, categories, help_ in rows:
            output.object(
                {"kind": "event", "name": name, "categories": categories.split(), "help": help_}
            )
    else:
        write_table(("NAME", "CATEGORIES", "WHAT"), rows)
    return 0
