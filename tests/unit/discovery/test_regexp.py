"""Regular expressions in Go's RE2 dialect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.regexp import Regexp


@pytest.mark.parametrize(
    ("expression", "matches", "misses"),
    [
        ("server", ["/bin/server", "/server/x"], ["/bin/Server"]),
        (r"weird\d", ["/bin/weird33"], ["/bin/weird\u0663", "/bin/weird"]),
        ("^/bin/x$", ["/bin/x"], ["/bin/x\n", "/bin/xy"]),
        (r"x\z", ["/x"], ["/x\n"]),
        ("(?m)^b$", ["a\nb\nc"], ["ab"]),
        ("go|java", ["go", "java", "golang"], ["rust"]),
        ("a(?i)b|c", ["aB", "C"], ["AB"]),
        ("(?i:n)ode", ["Node"], ["NODE"]),
        (r"a\sb", ["a b", "a\fb"], ["a\vb", "a\xa0b"]),
        (r"[\s]", [" "], ["\v"]),
        (r"^[\Sx]$", ["a", "\v", "\xa0", "\U0010ffff"], [" ", "\n"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("a{2}$", ["aa"], ["a"]),
        ("[[:digit:]]+x", ["12x"], ["x"]),
        ("[]a]", ["]", "a"], ["b"]),
        (r"\Qa.b\E+", ["a.bb"], ["axb"]),
        (r"\x41\x{42}", ["AB"], ["ab"]),
        (r"(?P<n>a)(?<m>b)", ["ab"], ["a"]),
        (".", ["x"], ["\n", ""]),
        ("", ["", "x"], []),
        ("^*x$+", ["x", "ax"], ["xa"]),
        (r"\B", ["", "ab"], ["a"]),
        (r"\b?a", ["a", "ba"], ["b"]),
        (r"^\pL+$", ["aé"], ["a1"]),
        ("^a+?$", ["aa"], ["b"]),
        ("(?U)^a+$", ["aa"], ["b"]),
        ("^/x.y$", ["/x\udc80y"], ["/xy"]),
        (r"(?:^|/)(beyla$|otelcol[^/]*$)", ["/usr/bin/beyla", "/otelcol-contrib123"],
         ["/usr/bin/beyla/test", "/usr/bin/beyla (deleted)", "mybeyla"]),
    ],
)  # fmt: skip
def test_vector(expression: str, matches: list[str], misses: list[str]) -> None:
    regexp = Regexp.parse(expression)
    assert [text for text in matches if not regexp.matches(text)] == []
    assert [text for text in misses if regexp.matches(text)] == []


@pytest.mark.parametrize(
    "expression",
    ["(?=a)", "(?!a)", "(?<=a)b", r"(a)\1", "(?P=n)", "a**", "a++", "a*+", "(?>a)", "(", ")", "[a",
     "a{1001}", "a{2,1}", "*", r"\Z", r"\y", "\\", "[z-a]", "(?x)a"],
)  # fmt: skip
def test_what_re2_refuses_is_refused(expression: str) -> None:
    with pytest.raises(UsageError, match="invalid regular expression"):
        Regexp.parse(expression)


@pytest.mark.fuzz("globs and expressions")
@given(st.text(alphabet="ab()[]{}|*+?^$\\.-:imsdw1,&~#", max_size=14), st.text("ab1", max_size=4))
def test_any_text_is_compiled_or_refused(expression: str, text: str) -> None:
    try:
        regexp = Regexp.parse(expression)
    except UsageError:
        return
    assert regexp.matches(text) in (True, False)


@given(st.text(alphabet="ab/_ ", max_size=10))
def test_plain_text_is_found_in_itself(text: str) -> None:
    assert Regexp.parse(text).matches(f"x{text}y")


def test_no_expression_takes_for_ever() -> None:
    assert not Regexp.parse("^(a|a)*(a+)+$").matches("a" * 5_000 + "b")
    assert Regexp.parse("(a|b)*" * 40_000).matches("/bin/x")


def test_an_expression_too_large_for_re2_is_refused() -> None:
    with pytest.raises(UsageError, match="invalid regular expression"):
        Regexp.parse("(?:a{1000}|b)" * 10_000)
