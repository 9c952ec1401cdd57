"""Everything alive at once on one box: the demo's cast and its engine."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import fixtures
from engine.core.errors import BoxscopeError, FailedError
from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.modules.runner.protocol import Wanted
from engine.selection import ModuleRequest, PluginRequest, Selection

FLOOD_TASK = 7011
"""Task type that sets the flood plugin's rate."""
FLOOD_RATE = 2_000
"""Records per second the demo asks the flood plugin for."""

DOCTOR = "doctor"
"""The module whose health check starts a shell."""
ROUNDS_S = 5.0
"""Time between two of its health checks."""

SUBSCRIPTIONS = (
    ("syscall_exit-openat", ""),
    ("syscall_exit-connect", ""),
    ("syscall_exit-accept4", ""),
    ("syscall_exit-execve", ""),
    ("tracepoint-procexit", ""),
    ("kprobe-tcp_set_state", ""),
)

SERVICES = ("web", "names", "box1")
"""What serves and visits itself: HTTP, DNS, and the demo plugin's own protocol."""

_ROOT = Path(fixtures.__file__).parent


class DemoEngine(LiveEngine):
    """A live engine with the demo plugins, a module, services with visitors, and a Wasm plugin.

    The services are listened to once the probe runs; until then, and where it cannot, a capture is
    played.

    Args:
        settings: The settings in force.
        subscriptions: Kernel events in place of the demo's own.
        exe: Glob on the executable of processes listed.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        subscriptions: tuple[tuple[str, str], ...] = (),
        exe: str = "",
    ) -> None:
        chosen = replace(_selection(), subscriptions=subscriptions or SUBSCRIPTIONS, exe=exe)
        super().__init__(chosen, settings)
        self._services: list[subprocess.Popen[bytes]] = []
        self._leaving = threading.Event()
        self._rounds = threading.Thread(target=self._go_rounds, name="demo-rounds", daemon=True)

    def start(self) -> None:
        """Start the services, then the sources, then ask the flood plugin for its rate."""
        self._services = [_start_service(name) for name in SERVICES]
        pids = tuple(service.pid for service in self._services)
        self._selection = replace(self._selection, attach_pids=pids)
        text = "a capture is played until the demo's services can be listened to"
        self._logbook.write("traffic", "info", text)
        super().start()
        try:
            self.send_task("flood", FLOOD_TASK, f'{{"rate": {FLOOD_RATE}}}')
        except BoxscopeError as error:
            self._logbook.write("demo", "error", str(error))
        self._rounds.start()

    def _go_rounds(self) -> None:
        """Have the doctor's health checked now and then; it may have been unloaded."""
        while not self._leaving.wait(ROUNDS_S):
            with suppress(BoxscopeError):
                self.call_module(DOCTOR, "HealthCheck")

    def stop(self) -> None:
        """Stop the sources and the services."""
        self._leaving.set()
        if self._rounds.is_alive():
            self._rounds.join()
        services, self._services = self._services, []
        for service in services:
            if service.stdin is not None:
                service.stdin.close()
        super().stop()
        for service in services:
            _reap(service)


def _selection() -> Selection:
    plugins = _ROOT / "plugins"
    file = _ROOT / "modules" / "doctor.py"
    doctor = Wanted(file, symbol="Doctor", interface="HealthCheck() error", call="HealthCheck")
    return Selection(
        agent=True,
        plugins=(PluginRequest(plugins / "boxload"), PluginRequest(plugins / "flood")),
        modules=(ModuleRequest(doctor, DOCTOR),),
        discovery=True,
        probe=True,
        capture=_ROOT / "captures" / "http.pcap",
        paced=True,
        until_live=True,
        live=True,
        wasm=(_ROOT / "wasm" / "demo" / "demo.wasm",),
        wasm_mode=frozenset({"watch"}),
    )


def _start_service(name: str) -> subprocess.Popen[bytes]:
    """Start a service in a group of its own, so that Ctrl-C reaches only us."""
    try:
        return subprocess.Popen(
            [sys.executable, "-I", str(_ROOT / "services" / f"{name}.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
    except OSError as error:
        raise FailedError(f"cannot start the demo's service {name}: {error.strerror}") from error


def _reap(service: subprocess.Popen[bytes]) -> None:
    """Wait for the service to follow its closed input; end it if it does not."""
    try:
        service.wait(timeout=0.3)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()
