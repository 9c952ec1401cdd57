"""One filter language: a text gives the same rows in a list, in a command and on a recording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.core.fields import COMMON, Field, JsonValue
from engine.core.filters import Filter, FilterError
from engine.core.kinds import KINDS
from engine.core.progress import Tasks
from engine.core.records import Record, new_record
from engine.recording.recorder import Recorder
from engine.recording.replay import ReplayEngine
from tests.ui.driving import until
from tests.ui.fake_engine import NOW_NS, FakeEngine
from tui.cli.output import JsonOutput
from tui.cli.replay_stream import ReplayRunner
from tui.cli.stream import StreamOptions, StreamRunner
from tui.console.app import ConsoleApp
from tui.console.widgets.choice import Choice

ROWS = 24
"""Records of each kind in the recording."""
POOL: Mapping[str, tuple[JsonValue, ...]] = {
    "int": (0, 1, -1, 7, 80, 200, 503, 4096, 5_000_000, 2**40, None),
    "float": (0.0, 0.5, -2.5, 5.5, 250.0, 1e9, None),
    "text": ("", "nginx", "GET /a?b=c", "ECONNREFUSED", "80", "5ms", "Ünï", "a b", None),
    "bool": (True, False, None),
    "list": ([], [80, "tcp"], [{"port": 80, "proto": "tcp"}, {"port": 443}], ["-g", "x y"], None),
    "map": (
        {},
        {"a": "b"},
        {"port": "80", "user": "carol"},
        {"a": {"c": "deep"}, "n": [1, 2]},
        None,
    ),
}
"""Values of each type, among them those that look like another one."""
INNER = ("", ".a", ".port", ".user", ".a.c", ".n", ".proto")
NUMBERS = ("0", "1", "-1", "7", "80", "5.5", "4KiB", "5ms", "250us", "2MB", "0x50", "1e9")
WORDS = ("nginx", '"GET /a?b=c"', "ECONNREFUSED", "'a b'", "Ünï", "carol", "deep", "true", "false")
PATTERNS = ('"^GET"', "ng.nx", '"80$"', ".", '"a|b"', "ï")
TIMES = ("2026-09-21", "13:05", "-30s")


def value_at(field: Field, number: int) -> JsonValue:
    """A value of a field; two fields of a type go through theirs at different paces."""
    pool = POOL[field.type]
    return pool[(number * (1 + sum(field.name.encode()) % 7) + len(field.name)) % len(pool)]


def records() -> Iterator[Record]:
    """Records of every kind, a microsecond apart."""
    for number in range(ROWS):
        for kind in KINDS.values():
            yield new_record(
                kind,
                {field.name: value_at(field, number) for field in kind.fields},
                ts_ns=NOW_NS + number * 1_000,
                pid=(None, 5, 80, 4096)[number % 4],
                comm=("nginx", "sh -c", None)[number % 3],
            )


def comparison_of(kind: str) -> st.SearchStrategy[str]:
    """A comparison of a field of a kind, or a text that is looked for anywhere."""
    names = st.sampled_from([field.name for field in (*COMMON, *KINDS[kind].fields)])
    value = st.sampled_from(NUMBERS) | st.sampled_from(WORDS)
    path = st.builds(str.__add__, names, st.sampled_from(INNER) | st.just(""))
    several = st.lists(value, min_size=1, max_size=3).map(lambda each: f"[{', '.join(each)}]")
    return st.one_of(
        st.builds(
            " ".join,
            st.tuples(path, st.sampled_from(("==", "!=", "<", "<=", ">", ">=")), value),
        ),
        st.builds(
            " ".join, st.tuples(path, st.sampled_from(("~", "!~")), st.sampled_from(PATTERNS))
        ),
        st.builds(" ".join, st.tuples(path, st.sampled_from(("in", "not in")), several)),
        st.builds(
            " ".join, st.tuples(st.just("ts"), st.sampled_from("<>"), st.sampled_from(TIMES))
        ),
        path,
        st.sampled_from(WORDS),
    )


def filter_of(kind: str) -> st.SearchStrategy[str]:
    """Any filter for records of a kind; some mean nothing."""
    return st.recursive(
        comparison_of(kind),
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("{} or {}".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=4,
    )


FILTERS = st.sampled_from(sorted(KINDS)).flatmap(
    lambda kind: st.tuples(st.just(kind), filter_of(kind))
)


class Collected(JsonOutput):
    """Keeps the records of a kind that a command would print."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self._kind = kind
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        """Keep it; the counters at the end are no row."""
        if record.kind == self._kind and record.ts_ns >= NOW_NS and record.seq <= ROWS:
            self.records.append(record)

    def object(self, value: Mapping[str, JsonValue]) -> None:
        """Nothing of this is a row."""

    def flush(self) -> None:
        """Nothing waits."""


class Stream(NamedTuple):
    """The same records, coming and recorded."""

    live: FakeEngine
    file: Path


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Stream:
    """Every kind, in an engine and in a recording of it."""
    live, file = FakeEngine(), tmp_path_factory.mktemp("filters") / "box.db"
    live.emit(*records())
    with Tasks().begin("writing") as task:
        Recorder(live, file).write_memory(task)
    return Stream(live, file)


def in_a_list(stream: Stream, kind: str, text: str) -> list[Record]:
    """What the console's list of a kind chooses of what comes."""
    choice = Choice(filter=Filter(text, [kind]))
    return choice.of(stream.live.since(kind, 0, ROWS).records).records


def of_a_command(stream: Stream, kind: str, text: str) -> list[Record]:
    """What a command with this filter prints."""
    printed = Collected(kind)
    options = StreamOptions((kind,), filter_text=text, done=lambda: True)
    assert StreamRunner(stream.live, printed, options).run() == 0
    return printed.records


def on_a_recording(stream: Stream, kind: str, text: str) -> list[Record]:
    """What `replay --headless` with this filter prints."""
    printed = Collected(kind)
    with closing(ReplayEngine(stream.file)) as engine:
        options = StreamOptions((kind,), filter_text=text)
        assert ReplayRunner(engine, printed, options, paced=False).run() == 0
    return printed.records


WAYS = (in_a_list, of_a_command, on_a_recording)


def told(
    way: Callable[[Stream, str, str], list[Record]], stream: Stream, kind: str, text: str
) -> object:
    """All that the rows tell, or why there are none."""
    try:
        return [dict(row.as_json()) for row in way(stream, kind, text)]
    except FilterError as refused:
        return str(refused)


@settings(max_examples=150)
@given(FILTERS)
@example(("kernel_event", "errno == ECONNREFUSED and latency_ns > 5ms"))
@example(("l7_message", "status >= 500 or latency_ms > 200ms"))
@example(("process", "ports.port == 80"))
def test_a_text_gives_the_same_rows_everywhere(stream: Stream, chosen: tuple[str, str]) -> None:
    listed, printed, replayed = (told(way, stream, *chosen) for way in WAYS)
    assert printed == listed
    assert replayed == listed


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "stats"])
def test_what_is_compared_is_every_record_of_a_kind(stream: Stream, kind: str) -> None:
    for way in WAYS:
        assert [row.seq for row in way(stream, kind, "ts > 2020-01-01")] == [*range(1, ROWS + 1)]
        assert way(stream, kind, "ts < 2020-01-01") == []


async def test_the_pane_on_a_screen_shows_the_same_rows(stream: Stream) -> None:
    text = "errno == ECONNREFUSED or result < 0"
    wanted = told(in_a_list, stream, "kernel_event", text)
    app = ConsoleApp(stream.live)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3", "o", "slash", *text, "enter")
        shown = app.main.events.stream
        await until(pilot, lambda: shown.filter_counts[1] == ROWS)
        assert [dict(row.as_json()) for row in shown.records] == wanted
        assert 0 < len(shown.records) < ROWS
