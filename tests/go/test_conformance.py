"""Whether a symbol satisfies an interface, told without running it, equals the live assertion."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine.modules.conformance import conformances
from engine.modules.inspection import inspect
from engine.modules.signature import parse_interface
from tests.go.workshop import GO, OTHER_GO, Workshop


def _live(
    workshop: Workshop, go: str, plugin: Path, names: list[str]
) -> dict[tuple[str, str], str]:
    """What the run time says of each symbol and interface; empty where the assertion passes."""
    asserter = workshop.program(f"asserter-{go}", "asserter", go=go)
    done = subprocess.run(
        [str(asserter), str(plugin), *names],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    rows = (line.split("\t") for line in done.stdout.splitlines())
    return {(symbol, interface): said for symbol, interface, said in rows}


@pytest.mark.parametrize("go", [GO, OTHER_GO])
def test_a_symbol_satisfies_an_interface_where_the_assertion_passes(
    workshop: Workshop, go: str
) -> None:
    built = workshop.plugin(f"symbols-{go}.so", source="symbols", go=go)
    plugin = workshop.stripped(built, f"symbols-{go}-stripped.so")
    found = inspect(plugin)
    assert found.go is not None
    names = [export.name for export in found.go.exports]
    live = _live(workshop, go, plugin, names)
    assert len(live) == len(names) * 6
    told = {}
    for interface in {interface for _, interface in live}:
        for each in conformances(found, parse_interface(interface)):
            told[each.symbol, interface] = each.assertion
    assert told == live
    passed = {symbol for (symbol, _), said in live.items() if not said}
    assert passed == {
        "Value", "OnPointer", "Map", "Filled", "OtherwiseBox", "Anonymous", "Embedded"
    }  # fmt: skip


def test_mistakes_of_authors_are_named(workshop: Workshop) -> None:
    found = inspect(workshop.plugin(f"symbols-{GO}.so", source="symbols"))
    judged = {
        each.symbol: each for each in conformances(found, parse_interface("HealthCheck() error"))
    }
    mistakes = {name: each.mistake for name, each in judged.items() if each.mistake}
    assert mistakes == {
        "Pointer": "pointer_variable",
        "Interface": "interface_variable",
        "Anything": "interface_variable",
        "HealthCheck": "function",
        "New": "function",
    }
    assert judged["Pointer"].looked_up == "**main.Doctor"
    assert judged["Interface"].looked_up == "*main.Checker"
