"""The runner for Python modules and C shared objects: does one operation after the other.

    python -I -c BOOT KIND OPTIONS

This process is the module's; whatever happens here, the supervisor is told by another.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from engine.modules.runner.c_life import CLife
from engine.modules.runner.channel import Channel
from engine.modules.runner.protocol import ModuleKind, Signature
from engine.modules.runner.python_life import Method, Panicked, PythonLife, Refused

CLOSING = (
    "a module cannot be closed: its code, threads and handlers stay; unload it to end its runner"
)


def runner_command(
    kind: ModuleKind, name: str, signatures: Mapping[str, Signature], settle_s: float
) -> tuple[str, ...]:
    """The command line of a runner; started by exec, never by fork alone."""
    root = str(Path(__file__).parents[3])
    boot = (
        f"import sys; sys.path.insert(0, {root!r}); "
        "from engine.modules.runner.child import main; sys.path.pop(0); main()"
    )
    types = {each: [known.result, *known.parameters] for each, known in signatures.items()}
    options = json.dumps({"name": name, "signatures": types, "settle_s": settle_s})
    return (sys.executable, "-I", "-c", boot, kind, options)


def main() -> None:
    """Serve the supervisor until it goes."""
    kind, options = sys.argv[1], json.loads(sys.argv[2])
    sys.argv = [""]
    with suppress(OSError):
        Path("/proc/self/comm").write_bytes(os.fsencode(options["name"])[:15])
    for descriptor in (3, 4):
        os.set_inheritable(descriptor, False)
    channel = Channel()
    signatures = {
        name: Signature(types[0], tuple(types[1:])) for name, types in options["signatures"].items()
    }
    life: PythonLife | CLife
    if kind == "python":
        life = PythonLife(channel.tell)
    else:
        life = CLife(channel.tell, signatures, options["settle_s"])
    for operation in channel.operations():
        channel.done(carry_out(life, channel, operation))
    # Without the module's own clean-up: it is the supervisor that has gone, and nobody waits.
    os._exit(0)


def carry_out(life: PythonLife | CLife, channel: Channel, operation: Mapping[str, Any]) -> bool:
    """Do one operation; returns whether it succeeded."""
    symbol, method = operation["symbol"], operation["method"]
    match operation["op"]:
        case "open":
            channel.tell("opening", text=operation["path"])
            try:
                life.open(operation["path"])
            except Panicked:
                return False
            except Refused as refused:
                channel.tell("refused", text=str(refused))
                return False
            return True
        case "lookup":
            methods = [Method(*each) for each in operation["methods"]]
            return life.lookup(symbol, operation["interface"], methods)
        case "call":
            return life.call(symbol, method, list(operation["args"]))
    channel.tell("refused", text=CLOSING)
    return False
