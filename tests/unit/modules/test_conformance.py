"""Whether a symbol would pass a host's type assertion."""

from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.modules.conformance import Conformance, conformances
from engine.modules.inspection import inspect
from engine.modules.signature import parse_interface
from tests.unit.modules.conftest import Write
from tests.unit.modules.elf_writer import ElfWriter, doctor_plugin


def judged(write: Write, *interface: str) -> dict[str, Conformance]:
    """The verdict on each symbol of the doctor."""
    found = inspect(write(doctor_plugin().build()))
    return {each.symbol: each for each in conformances(found, parse_interface(*interface))}


def test_a_value_with_the_methods_conforms(write: Write) -> None:
    both = judged(write, "Poke(n int) (s string, err error)", "HealthCheck() error")
    assert both["Doctor"].conforms
    assert both["Doctor"].assertion == ""
    assert [name for name, each in both.items() if each.conforms] == ["Doctor"]


def test_a_pointer_variable_is_the_mistake_it_is(write: Write) -> None:
    pointer = judged(write, "HealthCheck() error")["Pointer"]
    assert not pointer.conforms
    assert pointer.mistake == "pointer_variable"
    assert pointer.assertion == (
        "interface conversion: **main.Doctor is not interface { HealthCheck() error }: "
        "missing method HealthCheck"
    )
    assert "holds has these" in pointer.hint
    assert "declare `var Pointer Doctor`" in pointer.hint


def test_a_pointer_variable_whose_object_lacks_the_method_is_told_apart(write: Write) -> None:
    assert "holds has not these" in judged(write, "Missing()")["Pointer"].hint


def test_an_interface_variable_is_the_mistake_it_is(write: Write) -> None:
    value = judged(write, "HealthCheck() error")["Value"]
    assert (value.mistake, value.looked_up) == ("interface_variable", "*main.Iface")


def test_a_function_has_to_be_called(write: Write) -> None:
    assert judged(write, "HealthCheck() error")["New"].mistake == "function"


def test_another_signature_is_told_with_both(write: Write) -> None:
    doctor = judged(write, "HealthCheck() string", "Extra(int)")["Doctor"]
    assert [str(each) for each in doctor.lacks] == [
        "no method Extra(int)",
        "HealthCheck is func() error, wanted func() string",
    ]
    assert doctor.assertion.endswith("missing method Extra")


def test_a_method_that_is_not_exported_can_never_be_had(write: Write) -> None:
    with pytest.raises(UsageError, match="not exported"):
        judged(write, "hidden() int")


def test_a_c_library_has_no_methods(write: Write) -> None:
    found = inspect(write(ElfWriter().build()))
    with pytest.raises(UsageError, match="no methods: it is a C shared object"):
        conformances(found, parse_interface("A()"))


PYTHON = """
class Base:
    def close(self): ...

class Doctor(Base):
    def health_check(self, deep=False): ...
    def poke(self, *numbers): ...
    async def later(self): ...
    @property
    def state(self): ...
    @staticmethod
    def about(topic): ...
    def strict(self, *, how): ...

doctor = Doctor()
count = 3
def make(): return doctor
"""


@pytest.mark.parametrize(
    ("interface", "lack"),
    [
        ("health_check(); close()", ""),
        ("health_check(bool)", ""),
        ("poke(int, int, int)", ""),
        ("about(string)", ""),
        ("health_check(bool, int)", "it takes 0 to 1 arguments"),
        ("later()", "it is async"),
        ("state()", "it is a property"),
        ("strict()", "its argument how has to be named"),
        ("absent()", "no method absent()"),
    ],
)
def test_a_python_object_conforms_by_names_and_numbers_of_arguments(
    write: Write, interface: str, lack: str
) -> None:
    found = inspect(write(PYTHON.encode(), "doctor.py"))
    verdicts = {each.symbol: each for each in conformances(found, parse_interface(interface))}
    assert set(verdicts) == {"Base", "Doctor", "doctor", "count", "make"}
    doctor = verdicts["doctor"]
    assert doctor.conforms is (lack == "")
    assert lack in "".join(map(str, doctor.lacks))
    if not lack:
        assert (verdicts["Doctor"].mistake, verdicts["Doctor"].conforms) == ("class", False)
    assert not verdicts["make"].conforms


MORE_PYTHON = """
import abc, functools
class Lambda:
    go = lambda self: None
class Alias:
    def _go(self): ...
    go = _go
class Branch:
    if True:
        def go(self): ...
class Deleted:
    def go(self): ...
    del go
class Constant:
    go = None
class Made:
    go = functools.partialmethod(print)
class Derived(abc.ABC): ...
class Meta(metaclass=abc.ABCMeta): ...
made = abc.ABC()
number = 3
"""


@pytest.mark.parametrize(
    ("symbol", "conforms", "told"),
    [
        ("Lambda", True, True),
        ("Alias", True, True),
        ("Branch", True, True),
        ("Deleted", False, True),
        ("Constant", False, True),
        ("Made", False, False),
        ("Derived", False, False),
        ("Meta", False, False),
        ("made", False, False),
        ("number", False, True),
    ],
)
def test_what_a_python_file_does_not_tell_is_not_denied(
    write: Write, symbol: str, conforms: bool, told: bool
) -> None:
    source = MORE_PYTHON + (f"{symbol}_ = {symbol}()\n" if symbol[0].isupper() else "")
    found = inspect(write(source.encode(), "doctor.py"))
    verdicts = {each.symbol: each for each in conformances(found, parse_interface("go()"))}
    verdict = verdicts.get(f"{symbol}_") or verdicts[symbol]
    assert (verdict.conforms, not verdict.untold) == (conforms, told)


def test_what_is_wrong_with_a_python_method_reads_as_a_sentence(write: Write) -> None:
    found = inspect(write(PYTHON.encode(), "doctor.py"))
    verdicts = {each.symbol: each for each in conformances(found, parse_interface("state()"))}
    assert str(verdicts["doctor"].lacks[0]) == "state: it is a property, wanted func()"
