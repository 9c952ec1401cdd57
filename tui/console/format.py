"""Values as short text, by unit: pure functions, one for each kind of quantity.

Everything that came from outside passes `clean` here once more: the console is the last
stop before the terminal, and a field a source forgot to sanitise must not reach it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from math import isnan

from engine.core.clock import local_time_of_day
from engine.core.fields import Field, JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean

ABSENT = "-"
"""Shown for a value that is not known."""

GAP = "·"
"""Stands for what is not known in a row of bars."""
_SPARKS = " ▁▂▃▄▅▆▇█"
_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_DURATIONS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))
_SHOWN_ITEMS = 64


def _three_digits(value: float) -> str:
    """`value` (below 1000) with three significant digits: 1.23, 12.3, 123."""
    if value >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _scaled(value: float) -> str:
    """`value` with a decimal prefix, at most five characters for anything below 1000 T."""
    for scale, prefix in _SCALES:
        if abs(value) >= scale * 0.9995:
            return _three_digits(value / scale) + prefix
    return _three_digits(value) if value % 1 else f"{value:.0f}"


def count(number: int) -> str:
    """A count: exact below 10,000, three significant digits above (12.3k, 4.56M)."""
    return str(number) if abs(number) < 10_000 else _scaled(number)


def rate(per_second: float) -> str:
    """Events per second without the unit: 0, 0.25, 12.3, 1.23k."""
    return _scaled(per_second)


def size(number: float) -> str:
    """Bytes with decimal prefixes: 512B, 12.3kB, 4.56MB."""
    return f"{_scaled(number)}B"


def duration(nanoseconds: float) -> str:
    """A time span: 850ns, 12.3µs, 4.56ms, 1.23s, 5m03s."""
    if nanoseconds >= 60e9:
        minutes, seconds = divmod(int(nanoseconds // 1e9), 60)
        return f"{minutes}m{seconds:02d}s"
    for scale, unit in _DURATIONS:
        if abs(nanoseconds) >= scale * 0.9995:
            return _three_digits(nanoseconds / scale) + unit
    return f"{nanoseconds:.0f}ns"


def share(cores: float) -> str:
    """A share of one core as a percentage: 0.5%, 12%, 150%."""
    percent = cores * 100
    return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"


def uptime(seconds: float) -> str:
    """Time since a start: 0:01:23, 26:00:00 becomes 1d 2:00:00."""
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    clock = f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
    return f"{days}d {clock}" if days else clock


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars, scaled to the largest; zero is blank, a gap (NaN) is `·`."""
    shown = list(values)[-width:]
    top = max((value for value in shown if value > 0), default=0.0)
    return "".join(_spark(value, top) for value in shown).rjust(width)


def _spark(value: float, top: float) -> str:
    if isnan(value):
        return GAP
    return _SPARKS[max(1, round(value / top * (len(_SPARKS) - 1)))] if value > 0 else " "


def graph(values: Sequence[float], width: int, height: int) -> list[str]:
    """The values as bars of several lines, top line first, scaled to the largest.

    A gap (NaN) is `·` on the lowest line.
    """
    top = max((value for value in values if value > 0), default=0.0)
    steps = len(_SPARKS) - 1
    full = height * steps
    filled = [max(1, round(value / top * full)) if value > 0 else 0 for value in values[-width:]]
    lines = [
        "".join(_SPARKS[min(max(level - row * steps, 0), steps)] for level in filled).rjust(width)
        for row in reversed(range(height))
    ]
    gaps = [isnan(value) for value in values[-width:]]
    pairs = zip(lines[-1], [False] * (width - len(gaps)) + gaps, strict=True)
    return [*lines[:-1], "".join(GAP if gap else drawn for drawn, gap in pairs)]


def number(value: float, unit: str) -> str:
    """A number with its unit, abbreviated."""
    match unit:
        case "ns":
            return duration(value)
        case "us":
            return duration(value * 1e3)
        case "ms":
            return duration(value * 1e6)
        case "B":
            return size(value)
        case "B/s":
            return f"{size(value)}/s"
        case "/s":
            return f"{rate(value)}/s"
        case "cores":
            return share(value)
    return f"{value}{unit}" if isinstance(value, int) else f"{_three_digits(value)}{unit}"


def value_text(value: JsonValue, unit: str = "") -> str:
    """Any field value on one line, safe to show."""
    if value is None or value == "":
        return ABSENT
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (int, float)):
        return number(value, unit)
    if isinstance(value, Mapping):
        pairs = islice(value.items(), _SHOWN_ITEMS)
        return " ".join(f"{clean(str(key))}={_quoted(item)}" for key, item in pairs) or ABSENT
    return " ".join(_quoted(item) for item in islice(value, _SHOWN_ITEMS)) or ABSENT


def field_text(record: Record, field: Field) -> str:
    """The text of one field of a record as a column shows it."""
    if field.name == "ts":
        return local_time_of_day(record.ts_ns)
    return value_text(record.get(field.name), field.unit)


def field_lines(value: JsonValue, unit: str = "") -> list[str]:
    """A value in full for the detail view: one line for each item of a map or list."""
    if isinstance(value, Mapping) and value:
        return [f"{clean(str(key))} = {value_text(item)}" for key, item in value.items()]
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return [value_text(item) for item in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and unit:
        abbreviated = number(value, unit)
        exact = f"{value} {unit}"
        return [
            abbreviated if abbreviated == exact.replace(" ", "") else f"{abbreviated} ({exact})"
        ]
    return [value_text(value, unit)]


def _quoted(value: JsonValue) -> str:
    """A value inside a map or list; text with spaces gets quotes so that pairs stay apart."""
    text = value_text(value)
    return f'"{text}"' if isinstance(value, str) and " " in text else text
