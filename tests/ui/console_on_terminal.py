"""A console for tests to run in a terminal: `python -m tests.ui.console_on_terminal FILE`.

Everything on its screen that can come from outside is hostile text. Writes `started` and
`stopped` to FILE as the engine is started and stopped; exits as `run_console` says. With a
second argument the engine breaks as soon as it is started.
"""

from __future__ import annotations

import sys
from pathlib import Path

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.snapshot import Snapshot
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console.run import run_console

HOSTILE = "\x1b]0;owned\x07\x1b[31m\x9b32m[/red][bold]\u202egnp.exe\r\n\x08END"


class Reporting(FakeEngine):
    """Tells in a file what happens to it."""

    def __init__(self, report: Path, *, breaks: bool) -> None:
        super().__init__()
        self._report = report
        self._breaks = breaks

    def start(self) -> None:
        self._tell("started")

    def stop(self) -> None:
        self._tell("stopped")

    def snapshot(self) -> Snapshot:
        if self._breaks and self._report.exists():
            raise RuntimeError("a fault in the engine")
        return super().snapshot()

    def _tell(self, what: str) -> None:
        with self._report.open("a") as report:
            report.write(f"{what}\n")


def fill(engine: FakeEngine) -> None:
    """Put hostile text into every pane."""
    evil = HOSTILE
    engine.set_source("probe", "degraded", evil, evil)
    engine.set_table(
        "plugin_state",
        [
            record(
                "plugin_state",
                1,
                evil,
                plugin=evil,
                plugin_kind=evil,
                state="running",
                version=evil,
                last_task=evil,
                last_stderr=evil,
                stderr=[evil, "[/red]", evil],
            ),
            record("plugin_state", plugin=f"2{evil}", state="failed", error=evil),
        ],
    )
    socket = {"port": 80, "proto": evil, "address": evil}
    engine.set_table(
        "process",
        [
            record(
                "process", 1, evil, ports=[socket], exe=evil, argv=[evil], criterion=evil, user=evil
            )
        ],
    )
    engine.set_table(
        "subscription", [record("subscription", event=evil, category=evil, on=True, unavailable="")]
    )
    engine.set_table(
        "wasm_plugin",
        [
            record(
                "wasm_plugin",
                plugin=evil,
                state=evil,
                hooks=[evil],
                path=evil,
                dialect=evil,
                custom_filter=evil,
                refusals=[evil],
                start_logs=[evil],
                exports=[{"export": evil, "calls": 1}],
            ),
            record("wasm_plugin", plugin=f"2{evil}", state="failed", error=evil),
        ],
    )
    engine.emit(
        record(
            "plugin_record",
            1,
            evil,
            plugin=evil,
            fields={evil: evil},
            faults=[evil],
            agent_reading=evil,
        ),
        record("plugin_fault", plugin=evil, reason=evil, bytes=evil, agent_reading=evil),
        record("kernel_event", 1, evil, name=evil, direction=evil, attributes={evil: evil}),
        record(
            "l7_message",
            1,
            evil,
            protocol=evil,
            src=evil,
            dst=evil,
            request=evil,
            status=evil,
            latency_ms=1234.0,
            parsed_by=evil,
            client_comm=evil,
            client_pid=1,
            server_comm=evil,
            server_pid=2,
            session=evil,
            source=evil,
            flow=7,
            attributes={evil: evil},
            decision=[evil],
        ),
        wasm_call(evil),
        wasm_call(
            evil, rerun_of=1, differs=[{"field": evil, "before": evil, "after": evil}], infos=[]
        ),
    )
    engine.keep_frame(1, evil.encode())


def wasm_call(evil: str, **values: JsonValue) -> Record:
    """A call for the message, everything in which is hostile."""
    shown: dict[str, JsonValue] = {
        "plugin": evil,
        "export": evil,
        "action": evil,
        "infos": [{evil: evil}],
        "logs": [evil, f"stdout: {evil}", f"frame: {evil}"],
        "error": evil,
        "remarks": [evil],
        "host_calls": [evil],
        "dialect": evil,
        "merged": [{"field": evil, "before": evil, "after": evil}],
        "payload": evil.encode().hex(),
        "result_bytes": evil.encode().hex(),
        "context": {
            "src": evil,
            "dst": evil,
            "flow_id": 7,
            "time_us": NOW_NS // 1_000,
            "process": evil,
        },
        **values,
    }
    return record("wasm_result", **shown)


if __name__ == "__main__":
    engine = Reporting(Path(sys.argv[1]), breaks=len(sys.argv) > 2)
    fill(engine)
    sys.exit(run_console(engine))
