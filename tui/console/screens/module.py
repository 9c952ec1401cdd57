"""The dialogs that load a module and call one of its methods."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from engine.core.errors import BoxscopeError
from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.modules.runner.protocol import Wanted
from tui.console.paths import problem_with_file
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry, PathEntry


class LoadModule(Protocol):
    """Loads a module; returns its name."""

    def __call__(self, wanted: Wanted, *, name: str = "") -> str:
        """As `Engine.load_module`."""


class CallModule(Protocol):
    """Calls a method of a module with arguments; returns the call's token."""

    def __call__(self, method: str, args: tuple[JsonValue, ...]) -> str:
        """As `Engine.call_module`, for one module."""


class Call(NamedTuple):
    """A call as it was typed."""

    name: str
    args: str
    """A JSON list without its brackets."""


class ModuleDialog(Dialog[str]):
    """Asks for a module's file and what to do with it; gives the name it was loaded under."""

    hint = "{path.complete} completes, next · {dialog.accept} loads · {dialog.cancel} cancels"

    def __init__(self, load: LoadModule) -> None:
        super().__init__(
            "Load a module",
            "Its code runs in a process of its own, with deadlines and limits. That contains "
            "accidents; it is no sandbox.",
            (
                PathEntry("path", "File", hint="/path/to/module.py or .so"),
                Entry("symbol", "Symbol", hint="none", about="what to look up, such as Doctor"),
                Entry("interface", "Interface", hint="none", about="such as HealthCheck() error"),
                Entry("call", "Call", hint="nothing", about="a method; () calls the symbol itself"),
                Entry("name", "Name", hint="the file's name without its suffix"),
            ),
            accept="Load",
        )
        self._load = load

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """Look whether there is such a file, and whether the interface can be one."""
        if problem := problem_with_file(values["path"]):
            return {"path": problem}
        if values["call"].strip() and not values["symbol"].strip():
            return {"symbol": "the symbol to call a method of is needed"}
        # Imported here as it reads ELF files, which only somebody who has one needs.
        from engine.modules.signature import parse_interface

        try:
            if values["interface"].strip():
                parse_interface(values["interface"])
        except BoxscopeError as error:
            return {"interface": f"{error.message}: {error.fix}"}
        return {}

    def act(self, values: Mapping[str, str]) -> str:
        """Load it."""
        wanted = Wanted(
            Path(values["path"].strip()),
            symbol=values["symbol"].strip(),
            interface=values["interface"].strip(),
            call=values["call"].strip(),
        )
        return self._load(wanted, name=values["name"].strip())


class CallDialog(Dialog[Call]):
    """Asks for a method and its arguments; gives what was called.

    Args:
        module: Its name.
        last: What was called before, to begin with.
        call: Calls it.
    """

    hint = "tab next · {dialog.accept} calls · {dialog.cancel} cancels"

    def __init__(self, module: str, last: Call | None, call: CallModule) -> None:
        super().__init__(
            f"Call {clean(module)}",
            "The call has a deadline; at it the module is ended.",
            (
                Entry(
                    "method",
                    "Method",
                    value=last.name if last else "",
                    hint="HealthCheck",
                    about="of the symbol it was loaded with, or SYMBOL.METHOD",
                ),
                Entry(
                    "args",
                    "Arguments",
                    value=last.args if last else "",
                    hint="none",
                    about='as in JSON, separated by commas: 2, "text"',
                ),
            ),
            accept="Call",
        )
        self._call = call

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """There has to be a method, and the arguments have to be values."""
        if not values["method"].strip():
            return {"method": "a method is needed"}
        try:
            json.loads(f"[{values['args']}]")
        except ValueError as error:
            return {"args": f"not a list of JSON values: {error}"}
        return {}

    def act(self, values: Mapping[str, str]) -> Call:
        """Call it."""
        called = Call(values["method"].strip(), values["args"].strip())
        self._call(called.name, tuple(json.loads(f"[{called.args}]")))
        return called
