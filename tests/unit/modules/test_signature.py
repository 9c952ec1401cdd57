"""Interfaces as people write them, and as reflection prints them."""

from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.modules.gotypes import Method
from engine.modules.signature import parameter_count, parse_interface


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("HealthCheck() error", "HealthCheck() error"),
        ("Poke(n int) (text string, err error)", "Poke(int) (string, error)"),
        ("Poke(a, b int, c ...string)", "Poke(int, int, ...string)"),
        ("Read(p []byte) (n int, err error)", "Read([]uint8) (int, error)"),
        ("One() (err error)", "One() error"),
        ("Any(x any, y interface{}, r rune)", "Any(interface {}, interface {}, int32)"),
        ("Do(ctx context.Context, m map[string][]*T)", "Do(context.Context, map[string][]*T)"),
        ("Call(f func(n int) error) func()", "Call(func(int) error) func()"),
        ("Chan(a <-chan int, b chan<- int, c chan (<-chan int))",
         "Chan(<-chan int, chan<- int, chan (<-chan int))"),
        ("Arr(a [5]byte, b [2][]int)", "Arr([5]uint8, [2][]int)"),
        ("Gen(p Pair[string, int])", "Gen(Pair[string,int])"),
        ("With(x interface{ B(); A(n int) error })", "With(interface { A(int) error; B() })"),
        ("Put(x struct{ N int; T string })", "Put(struct { N int; T string })"),
    ],
)  # fmt: skip
def test_a_method_reads_as_reflection_prints_it(written: str, printed: str) -> None:
    assert str(parse_interface(written)) == f"interface {{ {printed} }}"


def test_methods_come_in_the_order_of_their_names() -> None:
    expected = "interface { Close(); HealthCheck() error }"
    assert str(parse_interface("HealthCheck() error; Close()")) == expected
    assert str(parse_interface("HealthCheck() error\nClose()\n")) == expected
    assert str(parse_interface("HealthCheck() error", "Close()")) == expected
    assert str(parse_interface("interface{ HealthCheck() error; Close() }")) == expected
    assert (
        str(parse_interface("type D interface {\n\tHealthCheck() error\n\tClose()\n}")) == expected
    )


def test_a_method_that_is_given_twice_counts_once_unless_it_differs() -> None:
    assert len(parse_interface("A() error", "A() error").methods) == 1
    with pytest.raises(UsageError, match="twice"):
        parse_interface("A() error", "A() string")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("", "no method"),
        ("A(", "ends"),
        ("A(a int b)", "column 9"),
        ("A() error, B()", "column 10"),
        ("9()", "column 1"),
        ("A() é$", "column 6"),
        ("interface { A()", "ends where }"),
        ("A() error }", "column 11"),
        ("A(" + "[]" * 60 + "int)", "nested"),
        ("A(" + "func(" * 60, "nested"),
        ("A()" + " " * 30_000, "characters"),
        ("\n".join(f"M{n}()" for n in range(300)), "more than"),
    ],
)
def test_what_is_no_interface_is_told_with_its_place(written: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_interface(written)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("type_", "count"),
    [("func()", 0), ("func(int, func(string) error) error", 2), ("func(...string)", None)],
)
def test_arguments_are_counted(type_: str, count: int | None) -> None:
    assert parameter_count(Method("M", type_)) == count
