"""What the console looks like over the recording; `--snapshot-update` renews the pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from engine.core.records import record_from_json
from engine.recording.replay import ReplayEngine
from tests.ui.driving import at_rest, screen_text, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tests.ui.wasm_calls import PAYLOAD, call, message, plugin, repetition
from tui.console.app import ConsoleApp

RECORDING = Path(__file__).parents[2] / "fixtures" / "recordings" / "first-light.jsonl"


class SnapCompare(Protocol):
    """The fixture of pytest-textual-snapshot."""

    def __call__(
        self, app: ConsoleApp, *, terminal_size: tuple[int, int], run_before: object
    ) -> bool: ...


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The time column shows the box's own zone; here that is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def look(snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str) -> bool:
    """Compare the console after some keys, once the replayed rows are on the screen."""
    app = ConsoleApp(ReplayEngine(RECORDING, instant=True))

    async def run_before(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.engine.last_seq("kernel_event") > 0, "the recording")
        await until(pilot, lambda: app.main.history.newest_ns, "the last minutes")
        app.look_at_tables()
        app.look_at_streams()
        await pilot.press(*keys)
        app.look_at_streams()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await at_rest(pilot)

    return snap_compare(app, terminal_size=size, run_before=run_before)


def plugin_engine() -> FakeEngine:
    """A plugin that stops, with records an agent would misread."""
    engine = FakeEngine()
    row = record(
        "plugin_state",
        pid=4711,
        comm="python3",
        plugin="collector",
        plugin_kind="process",
        state="stopping",
        kill_in_s=6.4,
        version="1.2.0",
        pgid=4711,
        started=NOW_NS // 1_000_000_000 - 3_725,
        restarts=2,
        tx_rate=1_234.5,
        tx_speed=158_000.0,
        tx_count=4_598_512,
        tx_bytes=588_609_536,
        rx_rate=0.0,
        rx_speed=0.0,
        rx_count=1,
        rx_bytes=51,
        dropped=12,
        agent_dropped=98_000,
        tasks_waiting=0,
        cpu=0.31,
        rss=12_185_600,
        fds=5,
        read_speed=0.0,
        write_speed=4_096.0,
        disk=20_480,
        last_task='7011 -> succeed: "rate 1200/s" in 1 ms',
        stderr=["collector 1.2.0", "cannot read /proc/1/io: Permission denied", "stopping"],
    )
    engine.set_table("plugin_state", [row])
    body = bytes.fromhex("0880361080a4d6d4061a0e0a0c0a046c6f6164") + b"\x12\x040.57"
    for number in range(1, 41):
        misread = number == 40
        engine.emit(
            record(
                "plugin_record",
                pid=4711,
                comm="python3",
                plugin="collector",
                data_type=0 if misread else 7000,
                timestamp=NOW_NS // 1_000_000_000 - 40 + number,
                fields={"load": "0.57", "number": str(number)},
                faults=["data_type_zero"] if misread else [],
                agent_reading="a real agent would have read this as data_type 1790000000, "
                "timestamp 14, payload mangled (12 bytes: 0a0c0a046c6f6164...)"
                if misread
                else None,
                size=len(body),
            )
        )
        engine.keep_frame(number, body)
    engine.emit(
        record(
            "plugin_fault",
            plugin="collector",
            reason="zero_length",
            length=0,
            bytes="00000000190000000880",
            agent_reading="a real agent would have found no payload, and crashed",
        )
    )
    return engine


def look_at_plugin(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str
) -> bool:
    """Compare the console over a scripted plugin of which five minutes are known."""
    engine = plugin_engine()
    app = ConsoleApp(engine)

    async def run_before(pilot: Pilot[None]) -> None:
        row = engine.snapshot().tables["plugin_state"][0]
        for second in range(300):
            wave = 1.2 + math.sin(second / 20)
            values = {**row.as_json(), "tx_rate": 1_234.5 * wave, "tx_speed": 158_000.0 * wave}
            engine.set_table("plugin_state", [record_from_json(values)])
            engine.pass_time(1)
            app.past.look(engine.snapshot())
        app.look()
        await pilot.press("down")
        await pilot.press(*keys)
        app.look()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await at_rest(pilot)

    return snap_compare(app, terminal_size=size, run_before=run_before)


def test_four_panes_at_160x45(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (160, 45), "tab", "tab", shown="tcp_set")


def test_one_pane_at_80x24(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (80, 24), "3", shown="tcp_set")


def test_the_matrix_stands_beside_the_stream_when_zoomed(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (160, 45), "3", "o", "up", "up", shown="›")


def matrix_engine() -> FakeEngine:
    """Hundreds of switches, of which some are on and some cannot be."""
    engine = FakeEngine()
    calls = {"file": ("open", "stat", "rename"), "net": ("bind", "connect"), "wait": ("poll",)}
    cells = [
        (f"syscall_{way}-{call}{number}", category, "")
        for category, names in calls.items()
        for call in names
        for number in range(20)
        for way in ("enter", "exit")
    ]
    cells += [
        (f"syscall_exit-{call}", each, "")
        for call in ("read", "write")
        for each in calls.keys() - {"wait"}
    ]
    cells += [("kprobe-tcp_drop", "net", "this kernel has no tracepoint kfree_skb")]
    cells += [("kprobe-tcp_close", "net", "")]
    engine.set_table(
        "subscription",
        [
            record(
                "subscription",
                event=event,
                category=category,
                on=(on := not why and number % 9 == 0),
                rate=[0.0, 0.25, 81.5, 12_345.0][number % 4] if on else 0.0,
                total=number * 1_000,
                unavailable=why,
            )
            for number, (event, category, why) in enumerate(sorted(cells))
        ],
    )
    engine.set_table(
        "probe_state",
        [
            record(
                "probe_state",
                produced=1_234_567,
                read=1_234_500,
                dropped={"ring_full": 67},
                ring_fill=1.2,
                ring_peak=35.5,
                oldest_ms=18.25,
                reader_cpu=0.031,
            )
        ],
    )
    engine.emit_events(30)
    return engine


def look_at_matrix(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str
) -> bool:
    """Compare the events pane over a scripted matrix."""
    app = ConsoleApp(matrix_engine())

    async def run_before(pilot: Pilot[None]) -> None:
        await pilot.press("3")
        await until(pilot, lambda: app.main.events.matrix.cursor.line is not None)
        await pilot.press(*keys)
        app.look()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await at_rest(pilot)

    return snap_compare(app, terminal_size=size, run_before=run_before)


def test_hundreds_of_switches_at_80x24(snap_compare: SnapCompare) -> None:
    assert look_at_matrix(snap_compare, (80, 24), "down", "down", "right", shown="open0")


def test_hundreds_of_switches_searched_at_120x40(snap_compare: SnapCompare) -> None:
    keys = ("slash", *"tcp", "enter", "down")
    assert look_at_matrix(snap_compare, (120, 40), *keys, shown="kfree_skb")


def test_only_the_switches_that_are_on_at_200x60(snap_compare: SnapCompare) -> None:
    assert look_at_matrix(snap_compare, (200, 60), "v", shown="only on")


def wasm_engine() -> FakeEngine:
    """Messages of several protocols, and a plugin that was loaded again."""
    engine = FakeEngine()
    ends: dict[str, JsonValue] = {
        "client_pid": 4711,
        "client_comm": "curl",
        "server_pid": 812,
        "server_comm": "nginx",
    }
    engine.set_table(
        "wasm_plugin",
        [
            plugin(start_logs=["info: mine started"], traps=2, renewed=2, hooks=["http_request"]),
            plugin(plugin="faithful", poisoned=3, traps_left=97, traps=3),
            plugin(plugin="broken", state="failed", error="no memory is exported"),
        ],
    )
    engine.emit(
        message(flow=1, protocol="DNS", request="A www.test", parsed_by="built-in", **ends),
        message(flow=2, protocol="TLS", request="ClientHello h.test", status="", latency_ms=None),
        message(flow=3, status="500", request="POST /orders", parsed_by="built-in"),
        message(**ends, attributes={"tenant": "acme", "endpoint": "/new"}, request_bytes=28),
    )
    engine.emit(
        call(export="check_payload", action="next", infos=[], logs=[], merged=[]),
        call(remarks=["the trace sends span_id empty, which wipes what the agent has parsed"]),
        repetition(2),
        repetition(2, after=""),
    )
    for number in range(1, 5):
        engine.keep_frame(number, PAYLOAD)
    return engine


def look_at_wasm(snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str) -> bool:
    """Compare the console over scripted messages and calls; each key is waited for."""
    app = ConsoleApp(wasm_engine())

    async def run_before(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        for key in keys:
            app.look()
            await pilot.press(key)
        app.look()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await at_rest(pilot)

    return snap_compare(app, terminal_size=size, run_before=run_before)


def test_traffic_and_wasm_plugins_at_200x60(snap_compare: SnapCompare) -> None:
    assert look_at_wasm(snap_compare, (200, 60), shown="unreadable here")


def test_traffic_and_wasm_plugins_at_80x24(snap_compare: SnapCompare) -> None:
    assert look_at_wasm(snap_compare, (80, 24), shown="unreadable here")


def test_the_inspector_of_a_message(snap_compare: SnapCompare) -> None:
    assert look_at_wasm(snap_compare, (120, 40), "up", "enter", shown="+ after  /new")


def test_everything_about_a_wasm_plugin(snap_compare: SnapCompare) -> None:
    keys = ("o", "down", "enter")
    assert look_at_wasm(snap_compare, (120, 40), *keys, shown="2, of which 1 differ")


def test_the_inspector_of_a_call(snap_compare: SnapCompare) -> None:
    keys = ("up", "enter", "4", "end", "enter")
    assert look_at_wasm(snap_compare, (160, 45), *keys, shown="1 differs")


def test_the_dialog_that_edits_bytes(snap_compare: SnapCompare) -> None:
    assert look_at_wasm(snap_compare, (80, 24), "up", "e", "x", shown="'x' is no hex digit")


def test_everything_about_a_plugin(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (160, 45), "enter", shown="Permission denied")


def test_the_inspector_of_a_record(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (160, 45), "o", "up", "enter", shown="data_type_zero")


def test_the_bytes_of_a_record_at_80x24(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (80, 24), "o", "up", "enter", "2", shown="000010")


def test_the_dialog_that_loads_a_plugin(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (80, 24), "l", "enter", shown="a path is needed")


def process_engine() -> FakeEngine:
    """A server with a port, a file it opened and requests it answered, one of them badly."""
    engine = FakeEngine()
    engine.relabel("replay web.boxscope")
    engine.set_table(
        "process",
        [
            record(
                "process",
                812,
                "nginx",
                start=4_711,
                ports=[{"port": port, "proto": "tcp", "address": "0.0.0.0"} for port in (80, 443)],
                exe="/usr/sbin/nginx",
                argv=["nginx", "-g", "daemon off;"],
                user="www-data",
                language="c",
                criterion="open_ports: 80",
                verdict="selected",
                ppid=1,
                ancestry=["1 init"],
                attached=True,
            )
        ],
    )
    engine.set_table(
        "capture_state",
        [
            record(
                "capture_state",
                812,
                "nginx",
                state="attached",
                cause="by hand",
                payloads=12_345,
                payload_bytes=4_500_000,
                dropped=3,
                us_per_payload=12.5,
                start=4_711,
            )
        ],
    )
    engine.emit_events(20)
    for number in range(1, 31):
        failed = number % 10 == 0
        engine.emit(
            record(
                "kernel_event",
                812,
                "nginx",
                name="openat",
                direction="exit",
                category="file",
                errno="ENOENT" if failed else None,
                result=-2 if failed else number,
                latency_ns=12_300 * number,
                attributes={"name": f"/var/www/{number}.html"},
            ),
            record(
                "l7_message",
                812,
                "nginx",
                protocol="HTTP",
                parsed_by="built-in",
                status="404" if failed else "200",
                request=f"GET /{number}.html",
                latency_ms=0.25 * number,
                server_pid=812,
            ),
        )
    return engine


def look_at_process(
    snap_compare: SnapCompare, size: tuple[int, int], *keys: str, shown: str
) -> bool:
    """Compare the console over a scripted process that is selected in the ports pane."""
    app = ConsoleApp(process_engine())

    async def run_before(pilot: Pilot[None]) -> None:
        await pilot.press("2")
        app.look()
        await pilot.press("down")
        for key in keys:
            await pilot.press(key)
            await pilot.pause()
            app.look()
        await until(pilot, lambda: shown in screen_text(pilot), shown)
        await at_rest(pilot)

    return snap_compare(app, terminal_size=size, run_before=run_before)


def test_everything_about_a_process_at_120x40(snap_compare: SnapCompare) -> None:
    assert look_at_process(snap_compare, (120, 40), "enter", shown="GET /30.html")


def test_the_events_of_a_process_at_80x24(snap_compare: SnapCompare) -> None:
    assert look_at_process(snap_compare, (80, 24), "enter", "3", shown="ENOENT")


def test_all_panes_about_one_process_at_120x40(snap_compare: SnapCompare) -> None:
    assert look_at_process(snap_compare, (120, 40), "x", "0", shown="› 812 nginx")


def test_looking_for_an_error_in_the_events_of_a_process(snap_compare: SnapCompare) -> None:
    keys = ("x", "3", "o", "ctrl+f", *"ENOENT", "enter", "n")
    assert look_at_process(snap_compare, (80, 24), *keys, shown="find ENOENT")


def test_a_table_sorted_the_other_way_round(snap_compare: SnapCompare) -> None:
    assert look_at_process(snap_compare, (80, 24), "s", "S", shown="port▼")


def test_the_dialog_that_asks_for_a_time(snap_compare: SnapCompare) -> None:
    keys = ("3", "o", "ctrl+g", *"soon", "enter")
    assert look_at_process(snap_compare, (80, 24), *keys, shown="this is no time")


def test_four_panes_at_120x40(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (120, 40), shown="tcp_set")


@pytest.mark.parametrize(
    ("key", "shown"),
    [("1", "[1 Plugins]"), ("2", "[2 Ports!]"), ("3", "[3 Events]"), ("4", "[4 Traffic]")],
    ids=["plugins", "ports", "events", "traffic"],
)
def test_each_pane_at_60x20(snap_compare: SnapCompare, key: str, shown: str) -> None:
    assert look(snap_compare, (60, 20), key, shown=shown)


def test_every_field_of_a_record_at_120x40(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (120, 40), "o", "up", "F", shown="belongs to")


def test_every_field_of_an_event_at_80x24(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (80, 24), "3", "o", "up", "F", shown="subscribed as")


def test_what_an_event_belongs_to_at_60x20(snap_compare: SnapCompare) -> None:
    assert look(snap_compare, (60, 20), "3", "o", "up", "F", "3", shown="tracepoint-procexit")


def test_the_dialog_that_exports_at_60x20(snap_compare: SnapCompare) -> None:
    keys = ("3", "o", "up", "E", "ctrl+u", "enter")
    assert look(snap_compare, (60, 20), *keys, shown="a name for the file is needed")


def test_the_dialog_that_records_at_60x20(snap_compare: SnapCompare) -> None:
    keys = ("r", "ctrl+u", "enter")
    assert look_at_wasm(snap_compare, (60, 20), *keys, shown="a name for the file is needed")


def test_the_dialog_that_sends_a_task_at_60x20(snap_compare: SnapCompare) -> None:
    assert look_at_plugin(snap_compare, (60, 20), "T", "x", "enter", shown="whole number")
