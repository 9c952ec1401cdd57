"""Run as root: attaches as an unprivileged user and prints what it may do, as JSON lines."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import engine.discovery.explain
import engine.modules.runner.protocol
import engine.recording.options
import engine.workspace  # noqa: F401
from engine.core.errors import BoxscopeError
from engine.modules.runner.protocol import Wanted
from engine.remote.commands import COMMANDS, arguments_to_plain
from engine.remote.remote import RemoteEngine

NOBODY = 65534
ANYTHING: dict[str, object] = {
    "subscriptions": [("@network", "")],
    "pids": frozenset({1}),
    "args": (),
    "cuts": (),
    "payload": None,
    "options": None,
    "wanted": Wanted(Path("/tmp/x.py")),
}
"""Arguments by name; others are a path, a text, a number or a truth as their type says."""


def arguments(types: dict[str, object]) -> dict[str, object]:
    """Arguments that could be."""
    plain: dict[object, object] = {str: "x", int: os.getpid(), bool: True, Path: Path("/tmp/x")}
    return {name: plain.get(kind, ANYTHING.get(name)) for name, kind in types.items()}


def tell(what: dict[str, object]) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(what) + "\n")


def main() -> None:
    """Give up root, attach, and try every command."""
    commands = {name: arguments(dict(each.arguments)) for name, each in COMMANDS.items()}
    for name, given in commands.items():  # loads what belongs to it, which nobody may read
        arguments_to_plain(COMMANDS[name], given)
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    try:
        with RemoteEngine(Path(sys.argv[1])) as remote:
            remote.sync()
            told = {"tables": sorted(remote.snapshot().tables), "read_only": None}
            facts = remote.snapshot().attached
            tell({**told, "read_only": facts is not None and facts.read_only})
            for name, given in commands.items():
                try:
                    remote._call(name, 10.0, **given)
                except BoxscopeError as refusal:
                    tell({"command": name, "refusal": refusal.message})
                else:
                    tell({"command": name, "refusal": ""})
    except BoxscopeError as refusal:
        tell({"refused": refusal.message, "fix": refusal.fix})


if __name__ == "__main__":
    main()
