"""Records whose every text is hostile, made from the declarations of their kinds.

What a terminal would obey, what a markup parser would, what reads as something else, what is as
long as a megabyte: a kind or a field that is declared tomorrow is covered tomorrow.
"""

from __future__ import annotations

from engine.core.fields import Field, JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record, new_record

EVIL = (
    "\x1b]0;owned\x07\x1b[31m\x1b[2J\x1bP1$r\x1b\\"  # title, colour, erase, device control
    "\x9b32m\x9d0;x\x9c\x85"  # the same as C1 controls; next line
    "[/red][bold]$(x)"  # markup
    "\u202egnp.exe\u2066\u200b\u200d\ufeff\xad"  # direction, zero width
    "\udcff\udc80\ud800"  # bytes that are no UTF-8, half a character
    "\r\n\x08\x7f\x00\t"
    "e\u0301\u0489\u4f60\U0001f468\u200d\U0001f469\ufe0f"  # combining, wide
    "END"
)
"""What a name, an argument or a payload may be."""
MARK = "END"
"""Its end, which is shown wherever it is shown whole."""
LONG = EVIL + "A\x1b[35m" * 150_000
"""The same with a tail of more than a mebibyte."""


def hostile_value(field: Field, text: str = EVIL, number: int = 1) -> JsonValue:
    """The most hostile value of the type that a field has."""
    match field.type:
        case "text":
            return text
        case "map":
            return {text: text, "nested": {text: [text]}}
        case "list":
            return [text, {text: text, "field": text, "before": text, "after": text}]
        case "bool":
            return True
    return number


def hostile_record(
    kind: str, *, text: str = EVIL, ts_ns: int, pid: int | None = 1, **values: JsonValue
) -> Record:
    """A record of a kind all text of which is hostile, but for the values given."""
    declared = KINDS[kind]
    made = {field.name: hostile_value(field, text) for field in declared.fields}
    return new_record(declared, {**made, **values}, ts_ns=ts_ns, pid=pid, comm=text)
