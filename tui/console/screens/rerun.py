"""The dialog that offers a payload to its Wasm plugin again, with other bytes or cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.screens.dialog import Dialog
from tui.console.widgets.entry import Entry
from tui.console.widgets.hexarea import HexEntry, HexFault, read_hex

LONGEST = 65_535
"""Longest payload a plugin can be told of, in bytes."""
_MOST_CUTS = 50

Rerun = Callable[[int, bytes | None, Sequence[int]], tuple[int, ...]]
"""Offers the message of a call with other bytes (None: its own), cut to lengths; returns the
numbers of the new calls."""


def read_cuts(text: str, length: int) -> list[int]:
    """Lengths to cut a payload to, as `10, 20, 100`; none for an empty text.

    Raises:
        ValueError: if one is no such length; the message says which and why.
    """
    words = text.replace(",", " ").split()
    if len(words) > _MOST_CUTS:
        raise ValueError(f"{len(words)} lengths; {_MOST_CUTS} at most")
    for word in words:
        if not (word.isascii() and word.isdigit()):
            raise ValueError(f"{clean(word, 40)!r} is no length: whole numbers, such as 10, 20")
        if len(word) > len(str(length)) or int(word) > length:
            raise ValueError(f"{clean(word, 40)} is more than the {length} bytes there are")
    return [int(word) for word in words]


class RerunDialog(Dialog[tuple[int, ...]]):
    """Asks for bytes and cut points; gives the numbers of the new calls.

    Args:
        call: The call whose message is offered again.
        payload: What it was offered.
        rerun: Offers it.
    """

    hint = "tab next · {dialog.accept} runs · {dialog.cancel} cancels"

    def __init__(self, call: Record, payload: bytes, rerun: Rerun) -> None:
        super().__init__(
            f"Run call {call.seq} of {clean(str(call.get('plugin')))} again",
            "On a fresh instance; the plugin in the chain does not notice. Only the payload is "
            "replaced: path, host or status stay those of the call.",
            (
                HexEntry("payload", "Payload, in hex", payload),
                Entry(
                    "cuts",
                    "Cut to",
                    hint="the whole payload, once",
                    about="lengths in bytes, such as 10, 20, 100: a run for each",
                ),
            ),
            accept="Run",
        )
        self._seq = call.seq
        self._payload = payload
        self._rerun = rerun

    def problems(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """What is no hex, and which length cannot be cut to."""
        try:
            payload = read_hex(values["payload"])
        except HexFault as fault:
            return {"payload": str(fault)}
        if len(payload) > LONGEST:
            return {"payload": f"{len(payload)} bytes; a plugin can be told of {LONGEST} at most"}
        try:
            read_cuts(values["cuts"], len(payload))
        except ValueError as error:
            return {"cuts": str(error)}
        return {}

    def act(self, values: Mapping[str, str]) -> tuple[int, ...]:
        """Run it."""
        payload = read_hex(values["payload"])
        cuts = read_cuts(values["cuts"], len(payload))
        return self._rerun(self._seq, None if payload == self._payload else payload, cuts)
