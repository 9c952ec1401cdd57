"""Python modules live as Go's plugins do: opened once, initialised once, never closed."""

from __future__ import annotations

import os
import py_compile
import threading
from pathlib import Path
from typing import Any

import pytest

from engine.modules.runner.python_life import (
    Method,
    PythonLife,
    Refused,
    described,
    why_not,
)
from tests.unit.modules.runner.support import python_module


class Told(list[dict[str, Any]]):
    """What a life has told."""

    def __call__(self, event: str, **fields: object) -> None:
        self.append({"event": event, **fields})

    @property
    def events(self) -> list[str]:
        return [one["event"] for one in self]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def life(told: Told) -> PythonLife:
    return PythonLife(told)


COUNTING = "import builtins\nbuiltins.inits = getattr(builtins, 'inits', 0) + 1\n"


@pytest.fixture(autouse=True)
def _nothing_counted() -> Any:
    import builtins

    yield
    if hasattr(builtins, "inits"):
        del builtins.inits


def inits() -> int:
    import builtins

    return getattr(builtins, "inits", 0)


def test_a_file_is_initialised_once_by_whatever_name_it_is_opened(
    life: PythonLife, told: Told, tmp_path: Path
) -> None:
    file = python_module(tmp_path, "once", COUNTING)
    link = tmp_path / "link.py"
    link.symlink_to(file)
    first = life.open(str(file))
    assert life.open(str(link)) is first
    assert life.open(f"{tmp_path}/./once.py") is first
    assert inits() == 1
    assert told.events == ["opened", "initialised", "already_open", "already_open"]


def test_what_hangs_off_main_does_not_run(life: PythonLife, tmp_path: Path) -> None:
    body = "ran = False\nif __name__ == '__main__':\n    ran = True\n"
    assert life.open(str(python_module(tmp_path, "mainly", body))).ran is False


def test_a_failure_is_remembered_in_the_words_of_go(
    life: PythonLife, told: Told, tmp_path: Path
) -> None:
    file = str(python_module(tmp_path, "ill", COUNTING + "raise RuntimeError('boom')\n"))
    with pytest.raises(Refused, match=r"RuntimeError: boom$"):
        life.open(file)
    with pytest.raises(Refused, match=r"RuntimeError: boom \(previous failure\)$"):
        life.open(file)
    assert inits() == 1
    assert told[-1] == {
        "event": "panicked", "text": "in init: RuntimeError: boom", "frame": "<module> at ill.py:3"
    }  # fmt: skip


def test_a_syntax_error_is_a_failure_too(life: PythonLife, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="SyntaxError"):
        life.open(str(python_module(tmp_path, "wrong", "def\n")))


def test_a_missing_file_is_not_remembered(life: PythonLife, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"realpath failed$"):
        life.open(str(tmp_path / "late.py"))
    life.open(str(python_module(tmp_path, "late", "")))


def test_one_that_opens_itself_is_refused_where_go_would_hang(
    life: PythonLife, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import builtins

    monkeypatch.setattr(builtins, "open_again", life.open, raising=False)
    file = python_module(tmp_path, "self", "open_again(__file__)\n")
    with pytest.raises(Refused, match="opens itself while it initialises; Go would hang"):
        life.open(str(file))


def test_others_wait_until_the_first_has_initialised_it(
    life: PythonLife, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import builtins

    begun, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(builtins, "begun", begun, raising=False)
    monkeypatch.setattr(builtins, "go_on", go_on, raising=False)
    file = str(python_module(tmp_path, "shared", COUNTING + "begun.set()\ngo_on.wait()\nlate = 1"))
    found: list[Any] = []
    openers = [threading.Thread(target=lambda: found.append(life.open(file))) for _ in range(4)]
    for opener in openers:
        opener.start()
    assert begun.wait(10)
    assert found == []
    go_on.set()
    for opener in openers:
        opener.join(10)
    assert [one.late for one in found] == [1] * 4
    assert len(set(map(id, found))) == 1
    assert inits() == 1


# Looking up.


EXPORTS = """
import os
from os import path as _path
Doctor = 1
_hidden = 2
def Check(): return "checked"
"""


@pytest.mark.parametrize(
    ("listed", "symbol", "found"),
    [
        ("", "Doctor", True),
        ("", "_hidden", False),
        ("", "os", False),
        ("", "Nurse", False),
        ("__all__ = ['_hidden']", "_hidden", True),
        ("__all__ = ['_hidden']", "Doctor", False),
    ],
)
def test_what_can_be_looked_up_is_what_it_exports(
    life: PythonLife, told: Told, tmp_path: Path, listed: str, symbol: str, found: bool
) -> None:
    file = python_module(tmp_path, "exports", EXPORTS + listed)
    life.open(str(file))
    assert life.lookup(symbol, "", []) is found
    assert told.events[-1] == ("symbol_found" if found else "symbol_missing")
    if not found:
        assert told[-1]["text"].startswith(f"plugin: symbol {symbol} not found in plugin {file}")


class _Doctor:
    attribute = 1

    def HealthCheck(self) -> None:
        """Fine."""

    def Poke(self, times: int, hard: bool = False) -> None:
        """Fine."""

    async def Later(self) -> None:
        """Not run by being called."""

    @property
    def Asked(self) -> int:
        raise AssertionError("a property must not run")

    @staticmethod
    def Static(one: int) -> int:
        return one

    @classmethod
    def Class(cls, one: int) -> int:
        return one

    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"__getattr__({name!r}) must not run")


@pytest.mark.parametrize(
    ("method", "arguments", "reason"),
    [
        ("HealthCheck", 0, None),
        ("HealthCheck", 1, "cannot be called with 1 arguments"),
        ("Poke", 1, None),
        ("Poke", 2, None),
        ("Poke", 0, "missing a required argument: 'times'"),
        ("Static", 1, None),
        ("Static", 0, "missing a required argument"),
        ("Class", 1, None),
        ("Missing", 0, "missing method Missing"),
        ("Later", 0, "Later is async"),
        ("Asked", 0, "Asked is a property"),
        ("attribute", 0, "attribute is no method but a value of type int"),
    ],
)
def test_an_interface_is_judged_without_running_anything(
    method: str, arguments: int, reason: str | None
) -> None:
    why = why_not(_Doctor(), Method(method, arguments))
    assert why is None if reason is None else reason in str(why)


def test_a_class_and_a_function_are_no_objects() -> None:
    wanted = Method("HealthCheck", 0)
    assert "it is the class" in str(why_not(_Doctor, wanted))
    assert "it is a function" in str(why_not(lambda: None, wanted))


# Calling.


def test_a_call_tells_what_it_returned_and_how_long_it_took(
    life: PythonLife, told: Told, tmp_path: Path
) -> None:
    body = "class D:\n    def Add(self, a, b):\n        return a + b\nDoctor = D()\n"
    life.open(str(python_module(tmp_path, "adds", body)))
    assert life.call("Doctor", "Add", [2, 3])
    assert told.events[-2:] == ["called", "returned"]
    assert told[-1]["text"] == "5"
    assert told[-1]["elapsed_us"] > 0


def test_a_panic_in_a_call_is_told_with_the_place_and_survived(
    life: PythonLife, told: Told, tmp_path: Path
) -> None:
    life.open(str(python_module(tmp_path, "div", "def Half(x):\n    return 1 / x\n")))
    assert not life.call("Half", "", [0])
    assert told[-1]["text"] == "ZeroDivisionError: division by zero"
    assert told[-1]["frame"] == "Half at div.py:2"
    assert life.call("Half", "", [2])


def test_the_file_itself_is_run_and_nothing_compiled_beside_it(told: Told, tmp_path: Path) -> None:
    """An edit of the same length in the same second leaves compiled code that looks current."""
    file = python_module(tmp_path, "edited", "answer = 1\n")
    status = file.stat()
    py_compile.compile(str(file))
    before = sorted(tmp_path.rglob("*"))
    file.write_text("answer = 2\n", encoding="utf-8")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    life = PythonLife(told)
    life.open(str(file))
    assert life.module().answer == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_an_exception_is_described_by_all_it_says() -> None:
    assert described(ValueError("first\nsecond")) == "ValueError: first\nsecond"
    with pytest.raises(SyntaxError) as wrong:
        compile("def x(:", "x.py", "exec")
    assert described(wrong.value) == "SyntaxError: invalid syntax"
