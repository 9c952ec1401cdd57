"""Where to export to, in settings and flags: off by default, and secrets stay secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from engine.core.clock import SystemClock
from engine.core.collectors import check_endpoint, join_headers, read_headers
from engine.core.errors import RequirementError, UsageError
from engine.core.settings import load_settings
from engine.core.source import Logbook
from engine.otlp import options as module
from engine.otlp.control import export_of
from engine.otlp.export import OtlpExport
from engine.otlp.options import OtlpOptions, read_options, require
from tests.unit.recording.test_recorder import Rings


def settings(**environ: str) -> dict[str, str]:
    return {f"BOXSCOPE_{name.upper()}": value for name, value in environ.items()}


def options(**environ: str) -> OtlpOptions | None:
    return read_options(load_settings(environ=settings(**environ)).values)


def test_nothing_is_exported_unless_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    assert options() is None
    assert export_of(Rings(), load_settings().values, Logbook(SystemClock())) is None


def test_where_each_signal_goes() -> None:
    over_http = options(otlp="http://collector:4318/")
    assert over_http is not None
    assert over_http.url_of("traces") == "http://collector:4318/v1/traces"
    over_grpc = options(otlp="https://collector:4317", otlp_protocol="grpc")
    assert over_grpc is not None
    assert over_grpc.url_of("traces") == "https://collector:4317"
    told = options(otlp="env")
    assert told is not None
    assert told.url_of("logs") is None


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("collector:4317", "begin it with http://"),
        ("grpc://collector:4317", "begin it with http://"),
        ("http://", "no address"),
        ("http://a b", "no address"),
        ("http://collector:99999", "no address"),
        ("http://me:hunter2@collector", "no password"),
        ("http://collector?token=hunter2", "no [?] or #"),
    ],
)
def test_an_address_that_cannot_be_is_refused_without_being_told(
    address: str, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        check_endpoint(address)
    with pytest.raises(UsageError, match=f"setting otlp .*{problem}") as caught:
        load_settings({"otlp": address})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("text", ["hunter2", "a b=hunter2", "=hunter2", "a=hunter2%0d%0ab", "a="])
def test_headers_that_cannot_be_sent_are_refused_without_being_told(text: str) -> None:
    with pytest.raises(UsageError, match=r"setting otlp_headers .*header") as caught:
        load_settings({"otlp_headers": text})
    assert "hunter2" not in str(caught.value)


def test_headers_are_what_was_typed() -> None:
    typed = ["Authorization=Bearer a=b, c", "x-scope=a%20b"]
    assert read_headers(join_headers(typed)) == {
        "authorization": "Bearer a=b, c",
        "x-scope": "a%20b",
    }
    with pytest.raises(ValueError, match="header 1"):
        join_headers(["hunter2"])


def test_headers_are_never_shown() -> None:
    loaded = load_settings(environ=settings(otlp="http://c:1", otlp_headers="k=hunter2"))
    found = read_options(loaded.values)
    assert found is not None
    assert found.headers == {"k": "hunter2"}
    shown = (repr(found), repr(loaded), str(loaded.values.model_dump(mode="json")))
    assert all("hunter2" not in each for each in shown)


def test_variables_are_shown_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@collector:1/x?y=hunter2")
    assert OtlpOptions(None).shown("logs") == "collector:1/x"


@pytest.mark.parametrize(
    "environ", [{"otlp_redact": "everything"}, {"otlp_filter": "colour == red"}]
)
def test_what_means_nothing_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        options(otlp="http://c:1", **environ)


def test_without_the_sdk_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(RequirementError, match=r"pip install 'boxscope\[otlp\]'"):
        require(OtlpOptions("http://c:1"))
    rings = Rings()
    rings.add("kernel_event")
    log = Logbook(SystemClock())
    export = OtlpExport(rings, OtlpOptions("http://c:1"), log)
    export.start()
    export.stop()
    status = export.status()
    assert (status.state, status.missing) == ("failed", True)
    assert status.counters.dropped == {"not_sent": 1}
    assert "needs OpenTelemetry's SDK" in str(log.ring.since(0).records[0].get("text"))


WITHOUT = """
import sys
sys.modules["opentelemetry"] = None
from tui.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_box_without_the_sdk_goes_on_without_the_export_unless_that_is_the_command() -> None:
    discover = [sys.executable, "-c", WITHOUT, "discover", "--once", "--json"]
    asked = subprocess.run([*discover, "--otlp", "http://c:1"], capture_output=True, text=True)
    assert asked.returncode == 3
    assert "pip install 'boxscope[otlp]'" in asked.stderr
    environ = {**os.environ, "BOXSCOPE_OTLP": "http://c:1"}
    done = subprocess.run(discover, capture_output=True, text=True, env=environ, check=True)
    told = json.loads(done.stdout.splitlines()[-1])["sources"]
    assert (told["otlp"]["state"], told["otlp"]["missing"]) == ("failed", True)
    assert told["otlp"]["seen"] == told["otlp"]["dropped"]["not_sent"] > 0
    assert told["discovery"]["seen"] > 0


PROGRAM = """
import sys
from tui.cli.main import main
code = main(sys.argv[1:])
known = {"opentelemetry", "grpc", "requests", "urllib3"}
print("LOADED", sorted({name.split(".")[0] for name in sys.modules} & known), "CODE", code)
"""


@pytest.mark.parametrize(
    "arguments", [["events", "--help"], ["discover", "--once", "--json"], ["config"]], ids=" ".join
)
def test_nothing_of_the_sdk_is_loaded_unless_something_is_exported(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert "LOADED [] CODE 0" in done.stdout
