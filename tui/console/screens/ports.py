"""The dialog that changes the ports processes are looked for by."""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.errors import BoxscopeError
from engine.engine import Engine
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry


class PortsDialog(Dialog[str]):
    """Asks for the ports processes are looked for by; gives what was set."""

    hint = "{dialog.accept} looks for them · {dialog.cancel} changes nothing"

    def __init__(self, engine: Engine, last: str) -> None:
        super().__init__(
            "Which ports?",
            "Processes are listed that own one of these; nothing means any port.",
            (Entry("ports", "Ports", value=last, hint="any", about="such as 80,443,8000-8999"),),
            accept="Look",
        )
        self._engine = engine

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What means no port."""
        # Imported here as discovery is only loaded once the engine starts.
        from engine.discovery.ports import PortEnum

        try:
            PortEnum.parse(values["ports"])
        except BoxscopeError as error:
            return {"ports": f"{error.message}: {error.fix}" if error.fix else error.message}
        return {}

    def act(self, values: Mapping[str, str]) -> str:
        """Set them."""
        self._engine.set_ports(values["ports"])
        return values["ports"]
