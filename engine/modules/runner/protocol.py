"""What the engine, a module's supervisor and its runner say to each other.

The engine starts the supervisor as it starts any plugin: tasks come to it on descriptor 3, its
records leave on descriptor 4, framed as in the Elkeid plugin protocol. The supervisor starts the
runner, which holds the module and has these descriptors:

    0     the null device
    1, 2  the plugin's stderr file
    3     the null device, so that a module that waits for tasks learns that there are none
    4     a record pipe, as a plugin has it; the supervisor passes whole records on
    5     operations, a JSON object a line
    6     what becomes of them, a JSON object a line; `{"done": true}` ends an operation
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

EVENT_TYPE = 7110
"""Data type of a record that tells a step of a module's life."""
TASK_START = 7100
"""Open the module, look up and call what the run asks for."""
TASK_CALL = 7101
"""Call something: `{"symbol": S, "method": M, "args": [...]}`, or just the method's name."""
TASK_OPEN = 7102
"""Open the file again, under the path in the task's data or the first one."""
TASK_CLOSE = 7103
"""Close the module, which is refused."""

OPERATIONS_FD, EVENTS_FD = 5, 6

ModuleKind = Literal["python", "c-abi", "go"]
OperationName = Literal["open", "lookup", "call", "close"]
Event = Literal[
    "started",  # the supervisor runs and waits for the word to begin
    "contained",  # how the runner is kept from doing harm
    "watched",  # whether the kernel tells what it does; written by the engine
    "opening",
    "opened",
    "initialised",
    "already_open",
    "refused",  # an operation that cannot be, with the reason
    "symbol_found",
    "symbol_missing",
    "interface_satisfied",
    "interface_missing",
    "called",
    "returned",
    "panicked",
    "exited",  # it ended its own process
    "killed",
    "garbage",  # it wrote something to its record pipe that is no record
    "ready",  # everything that was asked for is done
    "ended",
]

TROUBLES: tuple[Event, ...] = ("panicked", "exited", "killed", "garbage", "refused")
"""Events that say why a run ended, if it ended right after them."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a module may use; the first four are enforced in time, the others by the kernel."""

    open_s: float = 5.0
    """Wall-clock time to open and initialise."""
    call_s: float = 10.0
    """Wall-clock time of a call, or of looking something up."""
    memory: int = 512 << 20
    """Resident bytes of all its processes together. Not RLIMIT_AS: a Go runtime reserves more than
    1 GiB of address space and uses hardly any of it."""
    processes: int = 128
    """How many processes it may have at a time."""
    cpu_s: int = 300
    """Processor time of each process."""
    file_bytes: int = 64 << 20
    """Size of a file it writes; what it prints goes to one."""
    files: int = 256
    """Open descriptors of each process."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A module somebody wants to run."""

    file: Path
    symbol: str = ""
    """What to look up."""
    interface: str = ""
    """Methods it is to have."""
    call: str = ""
    """A method to call, or `()` for the symbol itself."""
    args: tuple[str | int | float, ...] = ()
    prototypes: tuple[str, ...] = ()
    """Of C functions whose debugging information is gone."""
    anyway: bool = False
    """Open a Go plugin even where that is known to end its runner."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Signature:
    """A C function's types, as text: `int Add(int, int)`."""

    result: str
    parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RunSpec:
    """One run of a module: what is to be run, and within which limits."""

    name: str
    file: str
    """Absolute, and not resolved: a link is opened as a link."""
    kind: ModuleKind
    runner: tuple[str, ...]
    """Command line of the runner."""
    symbol: str = ""
    """What to look up; empty looks nothing up."""
    interface: str = ""
    """What it is to satisfy, as text."""
    methods: tuple[tuple[str, int | None], ...] = ()
    """The methods of that, with how many arguments they take; None for any number."""
    call: str = ""
    """A method of the symbol to call, or `()` to call the symbol itself; empty calls nothing."""
    args: tuple[str | int | float, ...] = ()
    """Arguments of that call."""
    plugin_path: str = ""
    """Import path of a Go plugin, by which its own frames are told from the runtime's."""
    cgroup: str = ""
    """Directory of the control group to run it in; empty for none."""
    limits: Limits = field(default_factory=Limits)

    def as_text(self) -> str:
        """For the supervisor's command line."""
        return json.dumps(asdict(self), separators=(",", ":"))


def parse_spec(text: str) -> RunSpec:
    """The run that `as_text` wrote."""
    told: dict[str, Any] = json.loads(text)
    told["limits"] = Limits(**told["limits"])
    told["runner"], told["args"] = tuple(told["runner"]), tuple(told["args"])
    told["methods"] = tuple((name, count) for name, count in told["methods"])
    return RunSpec(**told)


@dataclass(frozen=True, slots=True)
class Operation:
    """Something the runner is to do."""

    name: OperationName
    symbol: str = ""
    method: str = ""
    args: tuple[object, ...] = ()
    path: str = ""
    interface: str = ""
    methods: tuple[tuple[str, int | None], ...] = ()
    token: str = ""
    """Of the task that asked for it; empty where the run itself did."""

    def line(self) -> bytes:
        """As the runner reads it."""
        told = {
            "op": self.name,
            "symbol": self.symbol,
            "method": self.method,
            "args": self.args,
            "path": self.path,
            "interface": self.interface,
            "methods": self.methods,
        }
        return json.dumps(told, separators=(",", ":")).encode() + b"\n"
