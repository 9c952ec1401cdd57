"""The life of a module as the engine tells it, whatever it is made of."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import ModuleLoadError, PluginError, UsageError
from engine.modules.runner.protocol import TASK_CLOSE, TASK_OPEN
from tests.unit.agent.support import REPOSITORY
from tests.unit.modules.runner.support import DEADLINE_S, Modules, python_module, running_modules
from tests.waiting import wait_until

DOCTOR = REPOSITORY / "fixtures" / "modules" / "doctor.py"
HEALTH = "HealthCheck() error"


@pytest.fixture
def modules() -> Iterator[Modules]:
    with running_modules() as running:
        yield running


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shared object with debugging information."""
    place = tmp_path_factory.mktemp("library")
    source = place / "clinic.c"
    source.write_text(
        """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        struct pair { long a, b, c; };
        int Add(int a, int b) { return a + b; }
        double Half(double x) { return x / 2; }
        char *HealthCheck(void) { return strdup("fine"); }
        void FreeText(char *text) { free(text); }
        const char *Motto(void) { return "do no harm"; }
        struct pair Both(void) { struct pair p = {1, 2, 3}; return p; }
        int Crash(void) { return *(volatile int *)8; }
        int Abort(void) { abort(); }
        __attribute__((constructor)) static void begin(void) { puts("begun"); fflush(stdout); }
        """
    )
    return compiled(source, "-g")


def compiled(source: Path, *flags: str) -> Path:
    target = source.with_name(f"{source.stem}{''.join(flags)}.so")
    command = ["gcc", "-shared", "-fPIC", *flags, "-o", str(target), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return target


def test_a_health_check_is_told_step_by_step(modules: Modules) -> None:
    modules.load(DOCTOR, symbol="Doctor", interface=HEALTH, call="HealthCheck")
    modules.event("doctor", "ready")
    assert modules.told("doctor") == [
        "started", "watched", "contained", "opening", "opened", "initialised", "symbol_found",
        "interface_satisfied", "called", "returned", "ready",
    ]  # fmt: skip
    assert modules.event("doctor", "returned")["text"] == "None"
    row = modules.row("doctor")
    assert (row["plugin_kind"], row["state"]) == ("module", "running")
    assert row["pid"] == modules.event("doctor", "opening")["pid"]


def test_without_a_probe_it_is_said_that_nobody_looks(modules: Modules) -> None:
    modules.load(DOCTOR)
    assert modules.event("doctor", "watched")["text"] == (
        "what it does is not in the kernel events: kernel events do not run here"
    )


def test_calls_are_tasks_whose_replies_are_waited_for(modules: Modules, tmp_path: Path) -> None:
    body = "class D:\n    def Add(self, a, b=1):\n        return a + b\nDoctor = D()\n"
    modules.load(python_module(tmp_path, "adds", body), symbol="Doctor")
    modules.event("adds", "ready")
    modules.engine.call_module("adds", "Add", (2, 3))
    assert modules.event("adds", "returned")["text"] == "5"
    modules.engine.call_module("adds", "Doctor.Add", (2,))
    assert modules.event("adds", "returned", 2)["text"] == "3"
    modules.engine.call_module("adds", "Nothing")
    assert "has no attribute 'Nothing'" in modules.event("adds", "symbol_missing")["text"]
    assert modules.row("adds")["state"] == "running"


def test_a_second_open_initialises_nothing_and_closing_is_refused(modules: Modules) -> None:
    modules.load(DOCTOR)
    modules.event("doctor", "ready")
    modules.engine.send_task("doctor", TASK_OPEN, "")
    modules.event("doctor", "already_open")
    modules.engine.send_task("doctor", TASK_CLOSE, "")
    assert "a module cannot be closed" in modules.event("doctor", "refused")["text"]
    assert modules.told("doctor").count("initialised") == 1
    assert modules.row("doctor")["state"] == "running"


def test_an_unknown_task_is_answered(modules: Modules) -> None:
    modules.load(DOCTOR)
    modules.event("doctor", "ready")
    modules.engine.send_task("doctor", 1234, "")
    wait_until(lambda: "a module knows no task 1234" in modules.row("doctor")["last_task"])


def test_restarting_is_loading_again(modules: Modules) -> None:
    modules.load(DOCTOR)
    first = modules.event("doctor", "opening")["pid"]
    modules.event("doctor", "ready")
    modules.engine.restart_plugin("doctor")
    second = modules.event("doctor", "opening", 2)["pid"]
    assert first != second
    modules.event("doctor", "ready", 2)
    wait_until(lambda: modules.row("doctor")["pid"] == second, DEADLINE_S)


def test_unloading_is_ending_its_runner(modules: Modules) -> None:
    modules.load(DOCTOR)
    modules.event("doctor", "ready")
    modules.engine.unload_plugin("doctor")
    assert modules.event("doctor", "ended")["text"] == "it was unloaded"
    wait_until(lambda: not modules.row("doctor"), DEADLINE_S)
    with pytest.raises((UsageError, PluginError)):
        modules.engine.call_module("doctor", "HealthCheck")
    modules.load(DOCTOR)
    modules.event("doctor", "ready", 2)


def test_it_has_hardly_any_environment_and_few_descriptors(
    modules: Modules, tmp_path: Path
) -> None:
    body = """
    import json, os, resource
    def Tell():
        return json.dumps({
            "names": sorted(os.environ),
            "home": os.environ["HOME"] == os.getcwd(),
            "fds": sorted(map(int, os.listdir("/proc/self/fd")))[:7],
            "core": resource.getrlimit(resource.RLIMIT_CORE),
            "leader": os.getpid() == os.getsid(0) == os.getpgid(0),
        })
    """
    modules.load(python_module(tmp_path, "asks", body), symbol="Tell", call="()")
    told = json.loads(modules.event("asks", "returned")["text"].strip("'"))
    assert told == {
        "names": ["HOME", "LANG", "PATH"],
        "home": True,
        "fds": [0, 1, 2, 3, 4, 5, 6],
        "core": [0, 0],
        "leader": True,
    }


# What cannot be loaded.


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "No such file"),
        (b"plain text", "is no module"),
        (b"\x7fELF", "is no module: its ELF identification is cut short"),
    ],
    ids=["missing", "text", "nothing but a magic number"],
)
def test_what_is_no_module_is_refused(
    modules: Modules, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "thing.so"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ModuleLoadError, match=reason):
        modules.load(file)


def test_a_program_and_an_interface_that_is_none_are_refused(modules: Modules) -> None:
    with pytest.raises(ModuleLoadError, match="is no module but executable"):
        modules.load(Path("/bin/sh"))
    with pytest.raises(UsageError, match="the interface 'HealthCheck' ends"):
        modules.load(DOCTOR, interface="HealthCheck")


def test_a_name_is_given_once(modules: Modules) -> None:
    modules.load(DOCTOR)
    with pytest.raises(PluginError, match="doctor is already"):
        modules.load(DOCTOR)


# Shared objects.


@pytest.mark.parametrize(
    ("symbol", "args", "returned"),
    [
        ("Add", (2, 3), "5"),
        ("Half", (3,), "1.5"),
        ("HealthCheck", (), "'fine', given back to FreeText"),
        ("Motto", (), "'do no harm'"),
    ],
)
def test_a_c_function_is_called_with_the_types_it_has(
    modules: Modules, library: Path, symbol: str, args: tuple[int, ...], returned: str
) -> None:
    modules.load(library, name="clinic", symbol=symbol, call="()", args=args)
    assert modules.event("clinic", "returned")["text"] == returned
    wait_until(lambda: modules.row("clinic")["last_stderr"] == "begun", DEADLINE_S)


@pytest.mark.parametrize(
    ("symbol", "args", "reason"),
    [
        ("Both", (), "passes a struct pair by value"),
        ("Add", (1,), "takes 2 arguments, not 1"),
        ("Add", (1 << 32, 1), "does not fit into the 32 bits of int"),
        ("Add", (1, "two"), "'two' is no int"),
    ],
)
def test_a_c_function_that_cannot_be_called_is_not(
    modules: Modules, library: Path, symbol: str, args: tuple[int | str, ...], reason: str
) -> None:
    modules.load(library, name="clinic", symbol=symbol, call="()", args=args)
    assert reason in modules.event("clinic", "refused")["text"]
    assert "called" not in modules.told("clinic")


def test_a_stripped_function_is_called_only_with_its_prototype(
    modules: Modules, library: Path
) -> None:
    stripped = compiled(library.with_name("clinic.c"), "-s")
    modules.load(stripped, name="blind", symbol="Half", call="()", args=(3,))
    assert "are not known" in modules.event("blind", "refused")["text"]
    modules.load(
        stripped, name="told", symbol="Half", call="()", args=(3,),
        prototypes=("double Half(double x)",),
    )  # fmt: skip
    assert modules.event("told", "returned")["text"] == "1.5"


@pytest.mark.parametrize(("symbol", "how"), [("Crash", "SIGSEGV"), ("Abort", "SIGABRT")])
def test_a_c_function_that_is_struck_down_says_by_what(
    modules: Modules, library: Path, symbol: str, how: str
) -> None:
    modules.load(library, name="clinic", symbol=symbol, call="()")
    row = modules.gone("clinic")
    assert row["error"] == f"module clinic: panicked: {how}, during the call of {symbol}"
    assert row["exit_code"] == 3


def test_a_missing_symbol_is_told_in_the_loaders_words(modules: Modules, library: Path) -> None:
    modules.load(library, name="clinic", symbol="Nurse")
    assert "undefined symbol: Nurse" in modules.event("clinic", "symbol_missing")["text"]
    assert modules.row("clinic")["state"] == "running"


# The command.


def test_the_command_runs_calls_tells_and_ends() -> None:
    command = [
        sys.executable, "-m", "tui.cli", "modules", "run", str(DOCTOR), "--symbol", "Doctor",
        "--interface", HEALTH, "--call", "HealthCheck", "--no-events", "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    told = [line["event"] for line in lines if line["kind"] == "module_event"]
    assert told[-3:] == ["returned", "ready", "ended"]
    assert lines[-1]["kind"] == "stats"
    for name in ("agent", "modules"):
        source = lines[-1]["sources"][name]
        assert source["seen"] == source["kept"] + sum(source["dropped"].values())


def test_the_command_fails_where_the_module_does(tmp_path: Path) -> None:
    file = python_module(tmp_path, "ill", "raise ValueError('no license')")
    command = [sys.executable, "-m", "tui.cli", "modules", "run", str(file), "--no-events"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "module ill: panicked: in init: ValueError: no license" in done.stderr
